"""A trained system is measured at the original size of every picture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import Int64, UInt8
from torch import Tensor

from delineate.artefact import load_system
from delineate.data.dataset import Dataset
from delineate.data.loading import evaluation_loader
from delineate.data.splits import Watch
from delineate.evaluation.data import evaluation_data, source_of
from delineate.metrics import CocoEvaluation, detection_confusion
from delineate.system.system import System
from delineate.values import Categories, Prediction, Tally, Task, counted
from delineate.values.categories import BACKGROUND

Find = Callable[[UInt8[Tensor, "3 h w"]], Prediction]
"""It finds what is in a picture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """An evaluation is what was measured over a data set: the first of `metrics` is the one to compare by.

    `per_class` holds the metrics of each class, or joint; `confusion[i, j]` counts what is `names[i]` and was taken for
    `names[j]`: pixels, pictures, or objects and, in the last row and column, detections of nothing and missed objects;
    it is `None` where there are no classes. `objects` are the detections and targets themselves, where any number of
    objects was looked for. So many pictures were `skipped`, as they cannot be read; so many that are measured were
    `trained_on`, and are found better than new ones.
    """

    task: Task
    metrics: dict[str, float]
    per_class: dict[str, dict[str, float]]
    confusion: Int64[Tensor, "c c"] | None
    names: tuple[str, ...]
    protocol: str
    num_images: int
    objects: CocoEvaluation | None = None
    skipped: int = 0
    trained_on: int = 0

    @property
    def pictures(self) -> str:
        """Count the pictures, or the bodies that are a picture each, in words."""
        left_out = f", {self.skipped} that cannot be read left out" if self.skipped else ""
        known = f", {self.trained_on} of them trained on" if self.trained_on and not self.task.crops else ""
        return counted(self.num_images, "body" if self.task.crops else "picture") + known + left_out


def evaluate(
    system: System,
    dataset: Dataset,
    *,
    num_workers: int = 0,
    watch: Watch = iter,
    most: int | None = None,
    find: Find | None = None,
) -> Evaluation:
    """Measure a system, on the device it is on, over a data set whose pictures the workers decode.

    `find` takes the place of the system's own way to find what is in a picture, as tiles do. With `most`, so many
    detections of a class and picture count (`CocoEvaluation`). The confusion matrix is of the
    objects that are taken for found: by operating points where there are some. Raises `InputError` naming a picture
    that cannot be read.
    """
    if find is None:
        gathered = tally(system, dataset, num_workers=num_workers, watch=watch)
    else:
        gathered = system.task.tally(dataset.categories)
        for number in watch(range(len(dataset))):
            sample = dataset[number]
            gathered.add(find(sample.image), sample.target, number)
    if isinstance(gathered, CocoEvaluation):
        gathered.most = most
    evaluation = summarise(gathered, system.task, dataset.categories, len(dataset))
    if system.least is None or evaluation.objects is None:
        return evaluation
    objects, num_classes = evaluation.objects, dataset.categories.num_classes
    confusion = detection_confusion(objects.detections, objects.targets, num_classes, score=system.least)
    return replace(evaluation, confusion=confusion)


def tally(
    system: System, dataset: Dataset, *, num_workers: int, watch: Watch = iter, rank: int = 0, world_size: int = 1
) -> Tally:
    """Gather what the system finds in every `world_size`-th picture, from number `rank` on."""
    gathered = system.task.tally(dataset.categories)
    workers = 0 if system.exported else num_workers
    loader = evaluation_loader(dataset, system.preprocess, num_workers=workers, rank=rank, world_size=world_size)
    for turn, (batch, target) in enumerate(watch(loader)):
        proposals = batch.targets[0].proposals
        prepared = system.together(list(batch.images), [target.image_size], None if proposals is None else [proposals])
        (prediction,) = system.infer_prepared(prepared)
        gathered.add(prediction, target, rank + turn * world_size)
    return gathered


def summarise(gathered: Tally, task: Task, categories: Categories, num_images: int) -> Evaluation:
    """Measure the pictures that were gathered."""
    names: tuple[str, ...] = getattr(categories, task.rows)
    metrics = gathered.metrics(names)
    per_class: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        metric, _, name = key.partition("/")
        if name:
            per_class.setdefault(name, {})[metric] = value
    objects = gathered if isinstance(gathered, CocoEvaluation) else None
    return Evaluation(
        task=task,
        metrics=metrics,
        per_class={name: per_class[name] for name in names if name in per_class},
        confusion=gathered.confusion(len(names)),
        names=(*names, BACKGROUND) if task.finds_many else names,
        protocol=task.protocol if objects is None else objects.protocol,
        num_images=num_images,
        objects=objects,
    )


def evaluate_run(
    run: Path,
    data: Path | None = None,
    split: str | None = None,
    *,
    format: str | None = None,  # noqa: A002
    skip_unreadable: bool = False,
    device: str = "auto",
    num_workers: int = 1,
    watch: Watch = iter,
    thresholds: Mapping[str, Any] = {},
) -> Evaluation:
    """Measure a run's best weights, a .safetensors file or an export on a split of a data set, `val` if not given.

    On its own data, and without `data`, a run is measured on what it was validated on, which may be pictures that it
    held out; without `data`, its training split is then what it was trained on. With `skip_unreadable`, pictures that
    cannot be read are left out. `thresholds` are values of `Thresholds` that stand in for the system's own. Raises
    `InputError` when the run or the data are not what they should be, and when class names differ.
    """
    system = load_system(run, device=device).with_thresholds(**thresholds)
    found = evaluation_data(system, source_of(run, data, split, format), skip_unreadable=skip_unreadable)
    evaluation = evaluate(system, found.dataset, num_workers=num_workers, watch=watch)
    return replace(evaluation, skipped=found.skipped, trained_on=found.trained_on)
