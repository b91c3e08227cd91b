"""What training will see is shown before it begins: the same pictures, varied in the same way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from delineate.data.dataset import Dataset, Part
from delineate.data.formats import read_dataset
from delineate.data.splits import read_split, spread
from delineate.system.catalog import find_entry, needs
from delineate.training.building import build_loader, build_system
from delineate.training.data import tiled
from delineate.training.earlier import as_asked
from delineate.training.learner import make_fabric
from delineate.training.settings import TrainingSettings
from delineate.values import Categories, Sample


class Shown(NamedTuple):
    """A picture, or a tile of it, as it is in the files, and as training sees it, once for each epoch."""

    picture: Sample
    varied: list[Sample]


def shown(settings: TrainingSettings, count: int = 4, epochs: int = 3) -> tuple[Categories, Iterator[Shown]]:
    """Show some pictures, at equal distances in the data set, as they come in so many epochs of a training.

    Raises `InputError` as `train` does for settings that have no sense, and for data that cannot be read.
    """
    settings, _ = as_asked(settings)
    task = find_entry(settings.model).task
    dataset = read_split(
        settings.data,
        settings.train_split,
        task=task,
        format=settings.format,
        needs=needs(settings.model, settings.arguments),
    )
    dataset = tiled(dataset, settings, task)
    settings = settings.model_copy(update={"batch_size": 1, "workers": 0, "device": "cpu", "sampler": "shuffled"})
    with torch.random.fork_rng([]):
        system, _ = build_system(settings, dataset, Part(dataset, []), [], None)
        fabric = make_fabric(settings, torch.device("cpu"))
        batches = build_loader(settings, dataset, system, fabric).items
    return dataset.categories, _each(dataset, batches, spread(len(dataset), count), epochs)


def usual_model(data: Path, split: str, form: str | None) -> str:
    """Name a system that learns what the data have: masks, boxes or label maps."""
    contents = read_dataset(data, split, form).contents
    return "mask_rcnn" if "masks" in contents else "ssd" if "boxes" in contents else "unet"


def _each(dataset: Dataset, batches: Any, indices: list[int], epochs: int) -> Iterator[Shown]:
    for index in indices:
        varied = []
        for epoch in range(epochs):
            batch = batches[[(epoch, index)]]
            if isinstance(batch, Exception):
                raise batch
            varied.append(Sample(image=batch.images[0], target=batch.targets[0], file=batch.files[0]))
        yield Shown(dataset[index], varied)
