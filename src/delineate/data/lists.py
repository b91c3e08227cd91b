"""Lists say which pictures of a data set belong to which of its parts, so that none has to be moved.

A list is a text file: a comment, then one picture a line, relative to the folder of the data. Those that divide a data
set are `splits/train.txt` and the like in this folder, and their comment names the part that they divide.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from delineate.data.dataset import Dataset, Part
from delineate.data.files import read_text, write_text
from delineate.data.folders import home_of
from delineate.io.stores import is_url
from delineate.io.stores import named as stored_name
from delineate.values import InputError, counted, listed

DIVIDES, END = "# divides ", "; "


@dataclass(frozen=True)
class PictureList:
    """The list in the file `source` names pictures relative to the folder `home`."""

    source: Path
    home: Path

    @classmethod
    def write(cls, source: Path, home: Path, comment: str, files: Sequence[Path]) -> "PictureList":
        """Write a list of pictures, each once, whole or not at all."""
        names = dict.fromkeys(_below(file, home) for file in files)
        write_text(source, "\n".join([f"# {comment}", *names]) + "\n")
        return cls(source, home)

    @property
    def divides(self) -> str | None:
        """Name the part that the list divides; `None` where its comment does not say."""
        first = read_text(self.source).partition("\n")[0]
        return first.removeprefix(DIVIDES).partition(END)[0] if first.startswith(DIVIDES) else None

    @cached_property
    def lines(self) -> Mapping[str, int]:
        """Number the lines of the pictures, which are absolute paths here."""
        numbered = enumerate(read_text(self.source).splitlines(), start=1)
        named = ((line.strip(), number) for number, line in numbered)
        return {
            _absolute(Path(name) if is_url(name) else self.home / name): number
            for name, number in named
            if name and not name.startswith("#")
        }

    def rows(self, files: Sequence[Path]) -> list[int]:
        """Find the rows of the pictures that the list names."""
        return [row for row, file in enumerate(files) if _absolute(file) in self.lines]

    def gone(self, files: Sequence[Path]) -> list[str]:
        """Name the pictures of the list that are not among these files."""
        there = set(map(_absolute, files))
        return [_below(Path(path), self.home) for path in self.lines if path not in there]

    def check_there(self, files: Sequence[Path], mend: str) -> None:
        """Raise `InputError` with the `mend` where pictures of the list are not among these files."""
        gone = self.gone(files)
        if gone:
            first = Path(gone[0]) if is_url(gone[0]) else self.home / gone[0]
            line, more = self.lines[_absolute(first)], len(gone) - 1
            others = f", nor are {more} others" if more else ""
            raise InputError(
                f"{self.source}: line {line}: {gone[0]} is no picture of the data any more{others}; {mend}"
            )


def lists_folder(root: Path) -> Path:
    """Find the folder of the lists that divide a data set, which need not be there."""
    return home_of(root) / "splits"


def dividing(root: Path, parts: Sequence[str]) -> dict[str, PictureList]:
    """Find the lists that divide one of the data's own parts, by the names of what they make of it.

    Raises `InputError` where a list divides no part, or is named as another part. Beside a data set that is one file,
    lists may be another file's; files that say nothing of dividing are somebody else's.
    """
    lists = {}
    for source in sorted(lists_folder(root).glob("*.txt")):
        found = PictureList(source, home_of(root))
        if found.divides in parts:
            lists[source.stem] = found
        elif found.divides is not None and root.is_dir():
            raise InputError(
                f"{source}: it divides '{found.divides}', which the data have not (there are: {', '.join(parts)}); "
                f"delete {source.parent} and divide them again"
            )
    kept = set(parts) - {found.divides for found in lists.values()}
    for name in kept & set(lists):
        raise InputError(f"{lists[name].source}: the data have a part '{name}' of their own; rename the list")
    return lists


def with_lists(parts: Sequence[str], lists: Mapping[str, PictureList]) -> list[str]:
    """Name the parts of a data set: those that lists make take the place of what they divide."""
    return sorted({*parts, *lists} - ({found.divides for found in lists.values()} - set(lists)))


class Chosen(Part):
    """The pictures of one list; `problems` also count those that are gone, and those of the whole in no list."""

    def __init__(self, whole: Dataset, name: str, lists: Mapping[str, PictureList]) -> None:
        mine = lists[name]
        others = [found for found in lists.values() if found.divides == mine.divides and found is not mine]
        for other in others:
            for path in mine.lines.keys() & other.lines.keys():
                raise InputError(f"{mine.source}: line {mine.lines[path]} is in {other.source.name}, too; remove one")
        rows, gone = mine.rows(whole.files), mine.gone(whole.files)
        said = f"{mine.source}: {counted(len(gone), 'picture')} of {len(mine.lines)} not there any more: {listed(gone)}"
        if gone and not rows:
            raise InputError(f"{said}; delete {mine.source.parent} and divide the pictures again")
        super().__init__(whole, rows)
        self.notes = [*([f"{said}, left out"] if gone else []), *_in_none(whole, [mine, *others])]


def _in_none(whole: Dataset, lists: Sequence[PictureList]) -> Iterator[str]:
    names = [file.name for file in whole.files if not any(_absolute(file) in found.lines for found in lists)]
    if names:
        pictures = counted(len(names), "picture")
        yield f"{lists[0].source.parent}: {pictures} of '{lists[0].divides}' in no list, left out: {listed(names)}"


def _below(file: Path, home: Path) -> str:
    name = stored_name(file)
    return name if is_url(name) else Path(os.path.relpath(file, home)).as_posix()


def _absolute(file: Path) -> str:
    name = stored_name(file)
    return name if is_url(name) else os.path.abspath(file)  # noqa: PTH100  # `absolute` keeps ".."; `resolve` leaves folders that are links
