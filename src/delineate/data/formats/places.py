"""Annotation files lie in a folder of any shape, and name pictures as they lay on another machine: both are found."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path, PurePath, PurePosixPath

from delineate.data.images import pictures_in
from delineate.values import InputError

WITHOUT_SPLITS = "all"
DEPTH = 3
"""Annotation files are looked for in the folder, its sub-folders and theirs."""
NUM_TRIED = 20
"""So many files are looked into to recognise a format."""

SAME_SPLITS = (("train", "training"), ("val", "valid", "validation", "dev"), ("test", "testing"))
"""A split goes by any of these names."""
USUAL_NAMES = {name: names[0] for names in SAME_SPLITS for name in names}


def usual_name(split: str) -> str:
    """Give `val` for `valid`, `Validation` or `val2017`; a name of no split is itself, in lower case."""
    name = re.sub(r"[_-]?(19|20)\d\d$", "", split.casefold())
    return USUAL_NAMES.get(name, name)


def meant(split: str, names: Iterable[str]) -> str | None:
    """Find which of the names a split goes by: its own, or the only one that means the same; else `None`."""
    names = list(names)
    alike = [name for name in names if usual_name(name) == usual_name(split)]
    return split if split in names else alike[0] if len(alike) == 1 else None


def split_pairs(pictures: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Give to each split of the pictures what the annotations' folder calls it: its name, or the only one like it."""
    there = set(others)
    pairs = {name: name for name in pictures if name in there}
    here, beside = ([name for name in side if name not in pairs] for side in (pictures, sorted(there)))
    for name in here:
        alike = [[one for one in side if usual_name(one) == usual_name(name)] for side in (here, beside)]
        if [len(side) for side in alike] == [1, 1]:
            pairs[name] = alike[1][0]
    return pairs


def split_of(file: PurePath) -> str:
    """Find the split in a path, given from the data set's folder on: a folder of a split's name, or `all`."""
    return next((folder for folder in file.parts[:-1] if usual_name(folder) in USUAL_NAMES), WITHOUT_SPLITS)


def split_of_list(file: PurePath) -> str:
    """Find the split of a file that names many pictures: as `split_of`, else a word in its name."""
    words = re.split(r"[^a-z]+", file.stem.casefold())
    return next((word for word in (split_of(file), *words) if usual_name(word) in USUAL_NAMES), WITHOUT_SPLITS)


def annotation_files(root: Path, suffix: str) -> list[Path]:
    """Find the files of a suffix in `root` down to some depth, or `root` where it is one."""
    if root.is_file():
        return [root] if root.suffix == suffix else []
    levels = ("*/" * depth for depth in range(DEPTH))
    return [path for level in levels for path in sorted(root.glob(f"{level}*{suffix}")) if path.name[0] != "."]


class Pictures:
    """The pictures in a folder are found by the names that annotation files have for them."""

    def __init__(self, folder: Path) -> None:
        self.files = pictures_in(folder)
        self._named: dict[str, list[Path]] = defaultdict(list)
        for file in self.files:
            for name in {file.name.casefold(), file.stem.casefold()}:
                self._named[name].append(file)

    def find(self, name: str, near: Path) -> Path | None:
        """Find the picture whose path ends most like `name`, which may lack the suffix; of several the one nearest.

        Raises `InputError` where two are as near.
        """
        asked = PurePosixPath(name.replace("\\", "/"))

        def nearness(file: Path) -> tuple[int, int, int]:
            alike = _num_same(reversed(file.parts), reversed(asked.parts))
            return alike, _num_same(file.parts, near.parts), -len(file.parts)

        found = sorted(self._named.get(asked.name.casefold(), ()), key=nearness, reverse=True)
        if len(found) > 1 and nearness(found[0]) == nearness(found[1]):
            raise InputError(f"{near}: its picture {name} may be {found[0]} or {found[1]}; remove or rename one")
        return found[0] if found else None


def _num_same(these: Iterable[str], those: Iterable[str]) -> int:
    """Count the first parts that are equal."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(these, those, strict=False)))
