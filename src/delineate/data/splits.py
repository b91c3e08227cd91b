"""Systems take the splits of a data set: what they learn from is there, and names mean what they learned."""

import filecmp
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from delineate.data.bodies import Bodies
from delineate.data.dataset import Dataset, Part, skippable
from delineate.data.formats import read_dataset
from delineate.io.machine import num_cores
from delineate.values import Categories, Content, InputError, Task, counted, listed

Watch = Callable[[Iterable[Any]], Iterable[Any]]
"""It passes on what it is given, and shows how far it is."""


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
    skip_unreadable: bool = False,
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
    return Bodies(dataset, skip_unreadable=skip_unreadable) if task.crops else dataset


def readable(dataset: Dataset, notes: list[str], watch: Watch = iter) -> Dataset:
    """Keep the pictures that can be read, as every validation has to measure the same ones; the others are noted."""
    indices, errors = [], []
    for index, error in _decoded(dataset, watch):
        if error is None:
            indices.append(index)
        else:
            errors.append(error)
    if errors:
        notes.append(f"not measured on: {counted(len(errors), 'picture')} that cannot be read: {listed(errors)}")
    if len(dataset) and not indices:
        raise InputError(f"{dataset.files[0]}: neither this nor another picture to validate on can be read")
    return Part(dataset, indices)


def check_readable(dataset: Dataset, watch: Watch = iter) -> None:
    """Decode every picture before time is spent on others; raises `InputError` for the first that cannot be read."""
    for _, error in _decoded(dataset, watch):
        if error is not None:
            raise skippable(error)


def _decoded(dataset: Dataset, watch: Watch) -> Iterator[tuple[int, InputError | None]]:
    """Decode pictures in threads, in order; `watch` passes on their numbers."""

    def problem(index: int) -> InputError | None:
        try:
            dataset[index]
        except InputError as error:
            return error
        return None

    pool = ThreadPoolExecutor(num_cores())
    try:
        yield from zip(watch(range(len(dataset))), pool.map(problem, range(len(dataset))), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def shared(files: Iterable[Path], others: Iterable[Path]) -> list[Path]:
    """Find the pictures that are among others, too: as the same file, or as one of its name with its bytes."""
    named: dict[str, list[Path]] = defaultdict(list)
    for other in dict.fromkeys(others):
        named[other.name].append(other)
    return [file for file in dict.fromkeys(files) if _has_copy(file, named[file.name])]


def _has_copy(file: Path, others: Sequence[Path]) -> bool:
    """Tell whether a file is among others; one that is not there may be kept in an annotation file."""
    if file in others:
        return True
    there = [other for other in others if other.is_file() and file.is_file()]
    return any(file.samefile(other) or filecmp.cmp(file, other, shallow=False) for other in there)


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
