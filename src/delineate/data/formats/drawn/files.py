"""Annotation files lie in a folder of any shape, and name pictures as they lay on another machine: both are found."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path, PurePosixPath

from delineate.data.folders import pictures_in
from delineate.data.formats.kinds import is_cut, kind_of
from delineate.values import InputError

DEPTH = 3
"""Annotation files are looked for in the folder, its sub-folders and theirs."""
NUM_TRIED = 20
"""So many files are looked into to recognise a format."""


def has_annotations(root: Path, tool: str, suffix: str) -> bool:
    """Tell whether one of the first files of this suffix is the tool's."""
    return any(kind_of(path) == tool for path in _files(root, suffix)[:NUM_TRIED])


def annotation_files(root: Path, tool: str, suffix: str) -> list[Path]:
    """Find the files of this suffix that the tool wrote, in `root` down to some depth, or `root` where it is one.

    A file that was cut off is among them, so that reading it says so.
    """
    return [path for path in _files(root, suffix) if kind_of(path) == tool or is_cut(path)]


def _files(root: Path, suffix: str) -> list[Path]:
    if root.is_file():
        return [root] if root.suffix == suffix else []
    levels = ("*/" * depth for depth in range(DEPTH))
    return [path for level in levels for path in sorted(root.glob(f"{level}*{suffix}")) if path.name[0] != "."]


class Pictures:
    """The pictures in a folder are found by the names that annotation files have for them."""

    def __init__(self, folder: Path) -> None:
        self.files = pictures_in(folder)
        self.there = frozenset(self.files)
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
