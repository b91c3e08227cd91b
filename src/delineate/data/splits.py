"""Systems take the splits of a data set: what they learn from is there, and names mean what they learned."""

from collections.abc import Sequence
from pathlib import Path

from delineate.data.bodies import Bodies
from delineate.data.dataset import Dataset, View
from delineate.data.formats import read_dataset
from delineate.values import Categories, Content, InputError, Sample, Target, Task


class Part(View):
    """A part has some pictures of a data set."""

    def __init__(self, whole: Dataset, indices: Sequence[int]) -> None:
        super().__init__(whole)
        self.indices = indices
        self.files = [whole.files[index] for index in indices]

    def size(self, index: int) -> tuple[int, int]:
        return self.whole.size(self.indices[index])

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return self.whole.target(self.indices[index], image_size)

    def __getitem__(self, index: int) -> Sample:
        return self.whole[self.indices[index]]


def spread(length: int, count: int) -> list[int]:
    """Choose up to `count` indices of `length` things, at equal distances."""
    count = min(count, length)
    return [position * length // count for position in range(count)]


def read_split(
    root: Path,
    split: str,
    task: Task,
    format: str | None = None,  # noqa: A002
    *,
    needs: frozenset[Content] | None = None,
) -> Dataset:
    """Read one split that a system of `task` can learn from, as crops of annotated bodies where the task is of those.

    Only the annotations that the task needs are decoded, or those in `needs`. Raises `InputError` when the split has no
    pictures or lacks annotations that the task needs.
    """
    dataset = read_dataset(root, split, format, task.needs if needs is None else needs)
    if len(dataset) == 0:
        raise InputError(f"{root}: split '{split}' has no pictures")
    missing = [f"{content.rstrip('s')}s" for content in sorted(task.needs - dataset.contents)]
    if missing:
        raise InputError(
            f"{root}: split '{split}' has {', '.join(sorted(dataset.contents)) or 'no annotations'}, "
            f"but systems of the task {task.name} learn from {' and '.join(missing)}"
        )
    if not task.crops:
        return dataset
    bodies = Bodies(dataset)
    if not len(bodies):
        raise InputError(f"{root}: split '{split}' has no object with an annotated keypoint")
    return bodies


def readable(dataset: Dataset, notes: list[str]) -> Dataset:
    """Keep the pictures that can be read, as every validation has to measure the same ones; the others are noted."""
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


def check_names(expected: Categories, actual: Categories, task: Task, source: str) -> None:
    """Raise `InputError`, naming the first one that differs, when numbers of classes or keypoints mean other things."""
    if not task.crops:  # of a crop of a body, the class is what has keypoints
        _check_same("class", getattr(expected, task.labels), getattr(actual, task.labels), source)
    if "keypoints" in task.needs:
        _check_same("keypoint", expected.keypoint_names, actual.keypoint_names, source)


def _check_same(kind: str, expected: tuple[str, ...], actual: tuple[str, ...], source: str) -> None:
    for value in range(max(len(expected), len(actual))):
        trained, read = (f"'{names[value]}'" if value < len(names) else f"no {kind}" for names in (expected, actual))
        if trained != read:
            raise InputError(
                f"{kind} names: {value} is {trained} where trained and {read} in {source}; names and order must agree"
            )
