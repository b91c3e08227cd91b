"""The annotations are held against what a run finds, that was trained on other pictures: the greatest doubts first.

A run that is sure of what nobody annotated, or sees another class, is often right (Northcutt et al. 2021, Pervasive
Label Errors in Test Sets). Errors are told apart as TIDE does (`metrics/errors.py`).
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Int64
from torch import Tensor

from delineate.artefact import load_system
from delineate.data.dataset import Dataset
from delineate.doctor.records import Hit, Record, Thing
from delineate.evaluation import evaluation_data, source_of
from delineate.metrics.detection import LIKELY
from delineate.metrics.errors import BACKGROUND, CLASSIFICATION, CORRECT, LOCALIZATION, picture_errors
from delineate.system.system import System
from delineate.values import IGNORE, Detections, InputError, LabelMap, Target

Watch = Callable[[Iterable[Any], int, str], Iterable[Any]]
MUCH = 0.5
"""A label map is doubtful where the run sees more than this share of its pixels otherwise."""
KINDS = {CLASSIFICATION: "run-class", LOCALIZATION: "run-place", BACKGROUND: "run-extra"}
FOUND = -1
"""What a run finds has rows before those of annotations: -1 and below."""


class Doubt(NamedTuple):
    """A doubt has a weight, the larger the more doubtful, and what is shown of it."""

    weight: float
    hit: Hit
    example: dict[str, Any]


def disagreements(run: Path, data: Path, layout: str, watch: Watch) -> Iterator[tuple[Hit, dict[str, Any]]]:
    """Find where a run disagrees with the annotations of what it was validated on, the most doubtful first.

    Raises `InputError` where the run or the data are not what they should be, and for tasks of one object.
    """
    system = load_system(run, device="auto")
    if not system.task.finds_many and "label_map" not in system.task.needs:
        raise InputError(f"run: {run} finds {system.task.finds}; `delineate val {run} --report` shows what it misses")
    source = source_of(run, data, None, layout)
    dataset = evaluation_data(system, source, skip_unreadable=True).dataset
    doubts: list[Doubt] = []
    for index in watch(range(len(dataset)), len(dataset), "running"):
        doubts += _doubts(system, dataset, index, source.split)
    for doubt in sorted(doubts, key=lambda doubt: -doubt.weight):
        yield doubt.hit, doubt.example


def _doubts(system: System, dataset: Dataset, index: int, split: str) -> list[Doubt]:
    """Compare what is found in one picture with what is annotated."""
    sample = dataset[index]
    (prediction,) = system.infer([sample.image])
    record = Record(split=split, file=dataset.files[index], source=dataset.annotation_file(index))
    if isinstance(prediction, LabelMap):
        return _of_pixels(prediction, sample.target, record)
    assert isinstance(prediction, Detections), "other tasks were refused"
    return _of_objects(prediction, sample.target, record, dataset.categories.class_names)


def _of_pixels(prediction: LabelMap, target: Target, record: Record) -> list[Doubt]:
    assert target.label_map is not None, "the task needs it"
    known = target.label_map != IGNORE
    share = float(((prediction.label_map != target.label_map) & known).sum() / known.sum().clamp(min=1))
    if share <= MUCH:
        return []
    return [Doubt(share, Hit("run-pixels", "", f"{share:.0%} of the pixels are seen otherwise"), {"record": record})]


def _of_objects(prediction: Detections, target: Target, record: Record, names: tuple[str, ...]) -> list[Doubt]:
    """Find wrong detections that are likely, and objects of which nothing likely is found.

    Of an object that is found as it is annotated, further detections raise no doubt.
    """
    likely = prediction[prediction.scores >= LIKELY]
    errors, objects, missed = picture_errors(likely, target)
    things = [*_things(target.boxes, target.labels, names), *_found(likely, names)]
    example = {"record": record, "things": things}
    doubts = []
    confirmed = set(objects[errors == CORRECT].tolist())
    for row, (error, thing) in enumerate(zip(errors.tolist(), objects.tolist(), strict=True)):
        if error == BACKGROUND or (error in KINDS and thing not in confirmed):
            name, score = names[int(likely.labels[row])], float(likely.scores[row])
            own = () if error == BACKGROUND else (thing,)
            what = "" if error == BACKGROUND else f", annotated as {names[int(target.labels[thing])]}"
            hit = Hit(KINDS[error], "", f"{name} by {score:.2f}{what}", (FOUND - row, *own))
            doubts.append(Doubt(score, hit, example))
    areas = (target.boxes[:, 2:] - target.boxes[:, :2]).prod(1)
    for row in missed.nonzero().flatten().tolist():
        share = float(areas[row]) / (target.image_size[0] * target.image_size[1])
        hit = Hit("run-missed", f"object {row + 1}", names[int(target.labels[row])], (row,))
        doubts.append(Doubt(share, hit, example))
    return doubts


def _things(boxes: Tensor, labels: Int64[Tensor, " n"], names: tuple[str, ...], first: int = 0) -> list[Thing]:
    rows = enumerate(zip(boxes.tolist(), labels.tolist(), strict=True))
    return [Thing(row=first + row, place="", name=names[label], box=tuple(box)) for row, (box, label) in rows]


def _found(likely: Detections, names: tuple[str, ...]) -> list[Thing]:
    """Show what was found beside what is annotated, by names with a question mark."""
    things = _things(likely.boxes, likely.labels, names)
    return [Thing(row=FOUND - thing.row, place="", name=f"{thing.name}?", box=thing.box) for thing in things]
