"""The pictures of a run: splits read and checked, and what the defaults take from them."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from delineate.data.bodies import Bodies
from delineate.data.dataset import Content, Dataset
from delineate.data.formats import read_dataset, splits
from delineate.data.images import image_size
from delineate.data.preprocess import Preprocess
from delineate.data.proposals import WithProposals, proposals_folder
from delineate.models.contract import Model
from delineate.models.two_stage import RegionDetector
from delineate.system.catalog import Task
from delineate.training.settings import TrainingSettings
from delineate.values import IGNORE, Categories, InputError, Sample, Target

NEEDED: dict[Task, Content] = {
    "segment": "label_map",
    "localize": "boxes",
    "joints": "keypoints",
    "detect": "boxes",
    "mask": "masks",
    "pose": "keypoints",
}
HELD_OUT = 0.15
LARGEST_CROP = 512


class Part(Dataset):
    """Some pictures of a data set."""

    def __init__(self, whole: Dataset, indices: Sequence[int]) -> None:
        self.whole, self.indices = whole, indices
        self.categories, self.contents, self.problems = whole.categories, whole.contents, whole.problems
        self.files: Sequence[Path] = [whole.files[index] for index in indices]

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return self.whole.target(self.indices[index], image_size)

    def __getitem__(self, index: int) -> Sample:
        return self.whole[self.indices[index]]


def read_split(root: Path, split: str, task: Task, format: str | None = None) -> Dataset:  # noqa: A002
    """One split that a system of `task` can learn from; for `joints`, the crops of its annotated bodies.

    Raises `InputError` when it has no pictures or lacks the annotations that the task needs.
    """
    dataset = read_dataset(root, split, format)
    if len(dataset) == 0:
        raise InputError(f"{root}: split '{split}' has no pictures")
    if NEEDED[task] not in dataset.contents:
        raise InputError(
            f"{root}: split '{split}' has {', '.join(sorted(dataset.contents)) or 'no annotations'}, "
            f"but systems of the task {task} learn from {NEEDED[task].rstrip('s')}s"
        )
    if task != "joints":
        return dataset
    bodies = Bodies(dataset)
    if not len(bodies):
        raise InputError(f"{root}: split '{split}' has no object with an annotated keypoint")
    return bodies


def training_data(settings: TrainingSettings, task: Task) -> tuple[Dataset, Dataset, list[str]]:
    """What to train on, what to validate on, and what there is to say of them.

    Without the validation split, 15 % of the training split are held out, chosen by the seed.
    """
    train = read_split(settings.data, settings.train_split, task, settings.format)
    notes = [*train.problems, *_of_one_object(train, task)]
    if settings.val_split in splits(settings.data, settings.format):
        val = read_split(settings.data, settings.val_split, task, settings.format)
        check_names(train.categories, val.categories, task, f"split '{settings.val_split}' of {settings.data}")
        notes += val.problems
    else:
        train, val = _hold_out(train, settings, notes)
    return train, readable(val, notes) if settings.skip_unreadable else val, notes


def with_proposals(dataset: Dataset, model: Model[Any, Any], root: Path) -> Dataset:
    """The data set, with the proposals of a system that takes them from selective search; they are kept in `root`."""
    search = model.search if isinstance(model, RegionDetector) else None
    if search is None:
        return dataset
    return WithProposals(dataset, search.boxes, settings=search.settings, folder=proposals_folder(root))


def _of_one_object(dataset: Dataset, task: Task) -> list[str]:
    """What there is to say of pictures that do not hold just one object, where systems are of one."""
    if task == "joints":
        return [f"{len(dataset)} annotated bodies, each learned from its own crop"]
    if task != "localize":
        return []
    counts = []
    for index, file in enumerate(dataset.files):
        with suppress(InputError):  # said where the picture is read
            counts.append(int((~dataset.target(index, image_size(file)).ignored).sum()))
    several, none = sum(count > 1 for count in counts), sum(count == 0 for count in counts)
    note = f"{several} of {len(counts)} pictures hold several objects, of which the largest is learned"
    return [note + (f"; {none} hold none, and teach nothing" if none else "")] if several or none else []


def _hold_out(train: Dataset, settings: TrainingSettings, notes: list[str]) -> tuple[Dataset, Dataset]:
    if len(train) < 2:
        raise InputError(f"{settings.data}: one picture and no split '{settings.val_split}'; a second one is needed")
    files = list(dict.fromkeys(train.files))  # a picture may be there more than once, by its bodies
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(settings.seed)).tolist()
    num_held_out = max(1, round(HELD_OUT * len(files)))
    held_out = {files[place] for place in order[:num_held_out]}
    parts: tuple[list[int], list[int]] = [], []
    for index, file in enumerate(train.files):
        parts[file in held_out].append(index)
    notes.append(
        f"no split '{settings.val_split}': validating on {num_held_out} of the {len(files)} pictures of "
        f"'{settings.train_split}', which are not trained on"
    )
    return Part(train, parts[False]), Part(train, parts[True])


def readable(dataset: Dataset, notes: list[str]) -> Dataset:
    """The pictures that can be read; every validation has to measure the same ones."""
    indices = []
    for index in range(len(dataset)):
        try:
            dataset[index]
            indices.append(index)
        except InputError as error:
            notes.append(f"not validated on: {error}")
    if not indices:
        raise InputError(f"{dataset.files[0]}: neither this nor another picture to validate on can be read")
    return Part(dataset, indices)


def check_names(expected: Categories, found: Categories, task: Task, source: str) -> None:
    """Raise `InputError`, naming the first one that differs, when numbers of classes or keypoints mean other things."""
    if task == "segment":
        _check_same("class", expected.label_map_names, found.label_map_names, source)
    elif task != "joints":  # of crops of bodies, the class is what has keypoints
        _check_same("class", expected.class_names, found.class_names, source)
    if task in ("joints", "pose"):
        _check_same("keypoint", expected.keypoint_names, found.keypoint_names, source)


def _check_same(kind: str, mine: tuple[str, ...], theirs: tuple[str, ...], source: str) -> None:
    for value in range(max(len(mine), len(theirs))):
        here = f"'{mine[value]}'" if value < len(mine) else f"no {kind}"
        there = f"'{theirs[value]}'" if value < len(theirs) else f"no {kind}"
        if here != there:
            raise InputError(
                f"{kind} names: {value} is {here} where trained and {there} in {source}; names and order must agree"
            )


def usual_size(dataset: Dataset, preprocess: Preprocess, *, skip_unreadable: bool) -> tuple[int, int]:
    """The median `(height, width)` of up to 32 pictures after resizing, in multiples of 32, from 32 to 512."""
    sizes = [preprocess.resized(sample.target.image_size) for sample in _some(dataset, 32, skip_unreadable)]
    if not sizes:
        raise InputError(f"{dataset.files[0]}: neither this nor other pictures of the split can be read")
    height, width = (int(median(sides)) // 32 * 32 for sides in zip(*sizes, strict=True))
    return min(max(height, 32), LARGEST_CROP), min(max(width, 32), LARGEST_CROP)


def median_frequency_weights(dataset: Dataset, *, skip_unreadable: bool) -> Float[Tensor, " c"]:
    """Class weights `median(f) / f`; `f` is a class's share of the pixels of the pictures that it occurs in.

    Eigen & Fergus 2015, section 6.1. Of more than 500 pictures, 500 at equal distances are counted. A class that does
    not occur has weight 1.
    """
    num_classes = len(dataset.categories.label_map_names)
    pixels, seen_with = torch.zeros(num_classes, dtype=torch.float64), torch.zeros(num_classes, dtype=torch.float64)
    for sample in _some(dataset, 500, skip_unreadable):
        assert sample.target.label_map is not None
        counted = sample.target.label_map[sample.target.label_map != IGNORE]
        counts = torch.bincount(counted, minlength=num_classes)
        pixels += counts
        seen_with += (counts > 0) * counts.sum()
    frequency = pixels / seen_with.clamp(min=1)
    occurs = frequency > 0
    weights = frequency[occurs].quantile(0.5) / frequency if occurs.any() else frequency
    return weights.where(occurs, 1.0).float()


def _some(dataset: Dataset, count: int, skip_unreadable: bool) -> Iterator[Sample]:
    """Up to `count` samples at equal distances."""
    for position in range(min(count, len(dataset))):
        try:
            yield dataset[position * len(dataset) // min(count, len(dataset))]
        except InputError:
            if not skip_unreadable:
                raise
