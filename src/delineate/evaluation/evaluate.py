"""How good a trained system is, measured at the original size of every picture."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.loading import evaluation_loader
from delineate.data.preprocess import Preprocess
from delineate.metrics import (
    COCO_PROTOCOL,
    LOCALIZATION_PROTOCOL,
    POSE_PROTOCOL,
    SEGMENTATION_PROTOCOL,
    CocoEvaluation,
    LocalizationEvaluation,
    PoseEvaluation,
    SegmentationEvaluation,
    detection_confusion,
)
from delineate.models.contract import Model
from delineate.system.catalog import Task, find_system
from delineate.system.checkpoint import find_checkpoint, load_checkpoint
from delineate.system.inference import find_device, infer
from delineate.training.data import check_names, read_split, with_proposals
from delineate.values import Categories, Target
from delineate.values.categories import BACKGROUND

Watch = Callable[[Iterable[Any]], Iterable[Any]]
"""Passes on what it is given, and shows how far it is."""

Its = TypeVar("Its", bound="Tally")


@runtime_checkable
class Tally(Protocol):
    """Pictures gathered to be measured; those of several processes can be merged."""

    def add(self, prediction: Any, target: Target, number: int = 0) -> None:
        """Take one picture, which has the place `number` in the data set."""

    def merge(self: Its, other: Its) -> None:
        """Take all pictures of another."""

    def metrics(self, names: tuple[str, ...]) -> dict[str, float]:
        """What was measured, the metrics of class NAME called `METRIC/NAME`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What was measured over a data set: the first of `metrics` is the one to compare by.

    `per_class` holds the metrics of each class, or joint; `confusion[i, j]` counts what is `names[i]` and was taken for
    `names[j]`: pixels, pictures, or objects and, in the last row and column, detections of nothing and missed objects;
    it is `None` where there are no classes. `objects` are the detections and targets themselves, where any number of
    objects was looked for.
    """

    task: Task
    metrics: dict[str, float]
    per_class: dict[str, dict[str, float]]
    confusion: Int64[Tensor, "c c"] | None
    names: tuple[str, ...]
    protocol: str
    num_images: int
    objects: CocoEvaluation | None = None


def evaluate(
    model: Model[Any, Any],
    preprocess: Preprocess,
    dataset: Dataset,
    task: Task,
    *,
    num_workers: int = 0,
    watch: Watch = iter,
) -> Evaluation:
    """Measure a model, on the device it is on, over a data set whose pictures the workers decode.

    Raises `InputError` naming a picture that cannot be read.
    """
    gathered = tally(model, preprocess, dataset, task, num_workers=num_workers, watch=watch)
    return summarise(gathered, dataset.categories, len(dataset), task)


def tally(
    model: Model[Any, Any],
    preprocess: Preprocess,
    dataset: Dataset,
    task: Task,
    *,
    num_workers: int,
    watch: Watch = iter,
    rank: int = 0,
    world_size: int = 1,
) -> Tally:
    """What the model finds in every `world_size`-th picture, from number `rank` on."""
    gathered = _empty_tally(task, dataset.categories)
    loader = evaluation_loader(dataset, preprocess, num_workers=num_workers, rank=rank, world_size=world_size)
    for turn, (batch, target) in enumerate(watch(loader)):
        proposals = [its.proposals for its in batch.targets if its.proposals is not None]
        (prediction,) = infer(
            model, preprocess, list(batch.images), sizes=[target.image_size], proposals=proposals or None
        )
        gathered.add(prediction, target, rank + turn * world_size)
    return gathered


def _empty_tally(task: Task, categories: Categories) -> Tally:
    if task == "segment":
        return SegmentationEvaluation(len(categories.label_map_names))
    if task == "localize":
        return LocalizationEvaluation(categories.num_classes)
    return PoseEvaluation(categories.keypoint_names) if task == "joints" else CocoEvaluation()


def summarise(gathered: Tally, categories: Categories, num_images: int, task: Task) -> Evaluation:
    """What the pictures that were gathered say."""
    if isinstance(gathered, SegmentationEvaluation):
        names = categories.label_map_names
        return _evaluation(gathered, names, names, gathered.confusion, SEGMENTATION_PROTOCOL, num_images, task)
    names = categories.class_names
    if isinstance(gathered, LocalizationEvaluation):
        return _evaluation(gathered, names, names, gathered.confusion, LOCALIZATION_PROTOCOL, num_images, task)
    if isinstance(gathered, PoseEvaluation):
        joints = categories.keypoint_names
        return _evaluation(gathered, joints, joints, None, POSE_PROTOCOL, num_images, task)
    assert isinstance(gathered, CocoEvaluation)
    confusion = detection_confusion(gathered.detections, gathered.targets, len(names))
    return _evaluation(gathered, names, (*names, BACKGROUND), confusion, COCO_PROTOCOL, num_images, task)


def _evaluation(
    gathered: Tally,
    names: tuple[str, ...],
    confusion_names: tuple[str, ...],
    confusion: Tensor | None,
    protocol: str,
    num_images: int,
    task: Task,
) -> Evaluation:
    metrics = gathered.metrics(names)
    per_class: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        metric, _, name = key.partition("/")
        if name:
            per_class.setdefault(name, {})[metric] = value
    return Evaluation(
        task=task,
        metrics=metrics,
        per_class={name: per_class[name] for name in names if name in per_class},
        confusion=confusion,
        names=confusion_names,
        protocol=protocol,
        num_images=num_images,
        objects=gathered if isinstance(gathered, CocoEvaluation) else None,
    )


def evaluate_run(
    run: Path,
    data: Path,
    split: str = "val",
    *,
    format: str | None = None,  # noqa: A002
    device: str = "auto",
    num_workers: int = 1,
    watch: Watch = iter,
) -> Evaluation:
    """Measure the best weights of a run, or a .safetensors file, on a split of a data set.

    Raises `InputError` when the run or the data are not what they should be, and when class names differ.
    """
    checkpoint = load_checkpoint(find_checkpoint(run))
    task = find_system(checkpoint.system).task
    dataset = with_proposals(read_split(data, split, task, format), checkpoint.model, data)
    check_names(checkpoint.categories, dataset.categories, task, f"split '{split}' of {data}")
    model = checkpoint.model.to(find_device(device)).to(memory_format=torch.channels_last)
    return evaluate(model, checkpoint.preprocess, dataset, task, num_workers=num_workers, watch=watch)
