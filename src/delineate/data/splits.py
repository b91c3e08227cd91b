"""Systems take the splits of a data set: what they learn from is there, and names mean what they learned."""

import filecmp
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from delineate.data.bodies import Bodies
from delineate.data.dataset import OBJECTS, Dataset, Part, checked_target, left_out_of, not_readable
from delineate.data.formats import read_dataset
from delineate.io.machine import num_cores
from delineate.values import Categories, Content, InputError, Task

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
    divided: bool = True,
) -> Dataset:
    """Read one split that a system of `task` can learn from, as crops of annotated bodies where the task is of those.

    Only the annotations that the task needs are decoded, or those in `needs`. Raises `InputError` when the split has no
    pictures or lacks annotations that the task needs.
    """
    dataset = read_dataset(root, split, format, task.needs if needs is None else needs, divided=divided)
    if len(dataset) == 0:
        raise InputError(f"{root}: split '{split}' has no pictures")
    missing = [f"{content.rstrip('s')}s" for content in sorted(task.needs - dataset.contents)]
    if missing:
        raise InputError(
            f"{root}: split '{split}' has {', '.join(sorted(dataset.contents)) or 'no annotations'}, "
            f"but systems of the task {task.name} learn from {' and '.join(missing)}"
        )
    return Bodies(dataset, skip_unreadable=skip_unreadable) if task.crops else dataset


class Readable(Part):
    """These pictures of a data set can be read; `unreadable` has a line for each other."""

    def __init__(self, whole: Dataset, indices: Sequence[int], unreadable: Sequence[str]) -> None:
        super().__init__(whole, indices)
        self.unreadable = unreadable


def readable(dataset: Dataset, notes: list[str], watch: Watch = iter) -> Dataset:
    """Keep the pictures that can be read, as every validation has to measure the same ones; the others are noted."""
    return _kept(dataset, list(_problems(dataset.__getitem__, len(dataset), watch)), notes)


def check_readable(dataset: Dataset, watch: Watch = iter) -> None:
    """Decode every picture before time is spent on others; raises `InputError` that counts what cannot be read."""
    _check(_problems(dataset.__getitem__, len(dataset), watch))


def looked_over(dataset: Dataset, notes: list[str], *, skip_unreadable: bool) -> Dataset:
    """Keep the pictures of which it is not seen, without decoding them, that they cannot be read; others are noted.

    The annotations of objects are read, and how files begin and end. Raises `InputError` that counts what cannot be
    read, unless told to skip it.
    """
    annotated = dataset.needing(OBJECTS)
    problems = list(_problems(lambda index: checked_target(annotated, index), len(dataset)))
    if not skip_unreadable:
        _check(problems)
    return _kept(dataset, problems, notes)


def left_out(dataset: Dataset | None) -> list[str]:
    """Collect the lines of the pictures that were left out on the way to this data set, as they cannot be read."""
    lines: list[str] = []
    while dataset is not None:
        lines += getattr(dataset, "unreadable", ())
        dataset = getattr(dataset, "whole", None)
    return lines


def _problems(read: Callable[[int], object], count: int, watch: Watch = iter) -> Iterator[str]:
    """Read so many pictures in threads, and say in order what is wrong with each; `watch` passes on their numbers."""

    def problem(index: int) -> str:
        try:
            read(index)
        except InputError as error:
            return str(error)
        return ""

    pool = ThreadPoolExecutor(num_cores())
    try:
        problems = pool.map(problem, range(count))
        yield from (said for _, said in zip(watch(range(count)), problems, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _check(problems: Iterable[str]) -> None:
    errors = list(dict.fromkeys(filter(None, problems)))  # of a picture with several bodies once
    if errors:
        raise not_readable(errors)


def _kept(dataset: Dataset, problems: Sequence[str], notes: list[str]) -> Readable:
    errors = list(dict.fromkeys(filter(None, problems)))
    if errors:
        notes.append(left_out_of(errors))
    if errors and all(problems):
        raise InputError(f"{dataset.files[0]}: neither this nor another picture can be read: {errors[0]}")
    return Readable(dataset, [index for index, problem in enumerate(problems) if not problem], errors)


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
