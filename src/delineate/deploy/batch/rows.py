"""Each picture of a batch is a row: what was found in it, or the error for which nothing was.

path            string             as the manifest names it
row             int64              its place in the manifest, or in its archive
error           string             null where the picture was read; all that follows is null where it was not
height, width   int32
boxes           [[x1 y1 x2 y2]]    float32, in pixels; scores descending
labels          [string]           class names
scores          [float32]
masks           [{size, counts}]   COCO RLE, of systems that find masks
keypoints       [[[x y]]]          float32, and
visibility      [[int8]]           0, 1 or 2, of systems that find keypoints
label_map       binary             of dense systems in the place of objects: a PNG of classes' numbers, and
shares          {string: float32}  the share of the pixels of each class
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from delineate.data.files import label_map_png
from delineate.deploy.batch.manifest import Entry
from delineate.deploy.batch.sources import import_pyarrow
from delineate.deploy.pictures import Picture, name_of
from delineate.deploy.predictor import Predicted, PredictOptions, Predictor
from delineate.deploy.records import prediction_record
from delineate.deploy.top_down import TopDown
from delineate.values import Categories, InputError, LabelMap, Task

if TYPE_CHECKING:
    from pyarrow import Schema

Finder = Predictor | TopDown


def result_rows(finder: Finder, entries: Iterable[Entry], options: PredictOptions) -> Iterator[dict[str, Any]]:
    """Predict pictures one by one, and give a row for each, in order; a picture that cannot be read is a row, too."""
    waiting: deque[Entry] = deque()
    errors: deque[InputError] = deque()

    def pictures() -> Iterator[Picture]:
        for entry in entries:
            waiting.append(entry)
            yield entry.picture

    noting: PredictOptions = {**options, "unreadable": errors.append}
    for found in finder.predict(pictures(), **noting):
        while name_of(waiting[0].picture) != found.file:  # what was passed over, in the order of its errors
            yield _without(waiting.popleft(), errors.popleft())
        yield _with(waiting.popleft(), found, finder.categories)
    while waiting:
        yield _without(waiting.popleft(), errors.popleft())


def task_of(finder: Finder) -> Task:
    """Give the task that says what results hold: before a pose regressor, a detector only says where."""
    return finder.pose.system.task if isinstance(finder, TopDown) else finder.system.task


def schema_of(task: Task) -> "Schema":
    """Say which columns the rows of a system of some task have, and of which types, as pyarrow does."""
    arrow = import_pyarrow()
    text, single = arrow.string(), arrow.float32()
    columns = {"path": text, "row": arrow.int64(), "error": text, "height": arrow.int32(), "width": arrow.int32()}
    if "label_map" in task.needs:
        columns |= {"label_map": arrow.binary(), "shares": arrow.map_(text, single)}
        return arrow.schema(columns)
    columns |= {"boxes": arrow.list_(arrow.list_(single)), "labels": arrow.list_(text), "scores": arrow.list_(single)}
    if "masks" in task.needs:
        size = arrow.list_(arrow.int32())
        columns["masks"] = arrow.list_(arrow.struct({"size": size, "counts": text}))
    if "keypoints" in task.needs:
        columns["keypoints"] = arrow.list_(arrow.list_(arrow.list_(single)))
        columns["visibility"] = arrow.list_(arrow.list_(arrow.int8()))
    return arrow.schema(columns)


def _with(entry: Entry, found: Predicted, categories: Categories) -> dict[str, Any]:
    record = prediction_record(found.prediction, categories, file=found.file)
    if isinstance(found.prediction, LabelMap):
        record["label_map"] = label_map_png(found.prediction.label_map)
        record["shares"] = list(record["shares"].items())
    return {"path": entry.path, "row": entry.row, "error": None, **record}


def _without(entry: Entry, error: InputError) -> dict[str, Any]:
    return {"path": entry.path, "row": entry.row, "error": str(error)}
