"""How good a trained system is, measured at the original size of every picture."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from delineate.catalog import Task, find_system
from delineate.data.dataset import Dataset
from delineate.data.loading import evaluation_loader
from delineate.metrics.segmentation import PROTOCOL, confusion_matrix, segmentation_metrics
from delineate.models.contract import Model
from delineate.models.inference import infer
from delineate.structures import InputError, LabelMap, Preprocess
from delineate.training.data import check_names, read_split
from delineate.training.runs import Run
from delineate.weights import load_checkpoint

Watch = Callable[[Iterable[Any]], Iterable[Any]]
"""Passes on what it is given, and shows how far it is."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What was measured over a data set: the first of `metrics` is the one to compare by.

    `per_class` holds the metrics of each class; `confusion[i, j]` counts the pixels of class i taken for class j.
    """

    task: Task
    metrics: dict[str, float]
    per_class: dict[str, dict[str, float]]
    confusion: Int64[Tensor, "c c"]
    names: tuple[str, ...]
    protocol: str
    num_images: int


def evaluate(
    model: Model[Any, Any],
    preprocess: Preprocess,
    dataset: Dataset,
    *,
    num_workers: int = 0,
    watch: Watch = iter,
) -> Evaluation:
    """Measure a model, on the device it is on, over a data set whose pictures the workers decode.

    Raises `InputError` naming a picture that cannot be read.
    """
    confusion = count_confusion(model, preprocess, dataset, num_workers=num_workers, watch=watch)
    return summarise(confusion, dataset.categories.label_map_names, len(dataset))


def count_confusion(
    model: Model[Any, Any],
    preprocess: Preprocess,
    dataset: Dataset,
    *,
    num_workers: int,
    watch: Watch = iter,
    rank: int = 0,
    world_size: int = 1,
) -> Int64[Tensor, "c c"]:
    """The confusion matrix of every `world_size`-th picture, from number `rank` on; those of all ranks add up."""
    num_classes = len(dataset.categories.label_map_names)
    device = next(model.parameters()).device
    confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device)
    loader = evaluation_loader(dataset, preprocess, num_workers=num_workers, rank=rank, world_size=world_size)
    was_training = model.training
    model.eval()
    for batch, target in watch(loader):
        (prediction,) = infer(model, preprocess, list(batch.images), sizes=[target.image_size])
        assert isinstance(prediction, LabelMap)
        assert target.label_map is not None
        confusion += confusion_matrix(target.label_map.to(device), prediction.label_map, num_classes)
    model.train(was_training)
    return confusion


def summarise(confusion: Int64[Tensor, "c c"], names: tuple[str, ...], num_images: int) -> Evaluation:
    """What a confusion matrix says."""
    metrics = segmentation_metrics(confusion, names)
    return Evaluation(
        task="segment",
        metrics=metrics,
        per_class={name: {"IoU": metrics[f"IoU/{name}"]} for name in names if f"IoU/{name}" in metrics},
        confusion=confusion.cpu(),
        names=names,
        protocol=PROTOCOL,
        num_images=num_images,
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
    file = run if run.suffix == ".safetensors" else Run.open(run).best
    checkpoint = load_checkpoint(file)
    dataset = read_split(data, split, find_system(checkpoint.system).task, format)
    check_names(checkpoint.categories, dataset.categories, f"split '{split}' of {data}")
    model = checkpoint.model.to(find_device(device)).to(memory_format=torch.channels_last)
    return evaluate(model, checkpoint.preprocess, dataset, num_workers=num_workers, watch=watch)


def find_device(name: str) -> torch.device:
    """The device called `auto`, `cpu` or `cuda`; raises `InputError` when there is no CUDA device."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: torch finds no CUDA device here; leave --device out, or choose cpu")
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else name.replace("auto", "cpu"))
