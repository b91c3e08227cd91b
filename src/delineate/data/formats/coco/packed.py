"""Paths and sizes of millions of pictures are arrays, which processes share, and become objects when asked for."""

from collections.abc import Sequence
from operator import eq
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from delineate.io.stores import is_url, named


class Paths(Sequence[Path]):
    """Millions of paths are one text, relative to `home` where they are in it; some may be those of a store."""

    def __init__(self, home: Path, text: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self.home, self.text, self.starts = home, text, starts

    @classmethod
    def of(cls, files: Sequence[Path], home: Path) -> "Paths":
        """Take paths."""
        names = [str(file).removeprefix(f"{home}/").encode("utf-8", "surrogatepass") for file in files]
        return cls(home, np.frombuffer(b"".join(names), dtype=np.uint8), np.cumsum([0, *map(len, names)]))

    def folders(self) -> set[Path]:
        """Find the folders of the disk, or the archives, that the files are in."""
        parents = {self._name(place).rpartition("/")[0] for place in range(len(self))}
        return {self._path(parent) for parent in parents if not is_url(named(Path(parent)))}

    def _path(self, name: str) -> Path:
        return Path(name) if is_url(named(Path(name))) else self.home / name

    def _name(self, place: int) -> str:
        return self.text[self.starts[place] : self.starts[place + 1]].tobytes().decode("utf-8", "surrogatepass")

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> list[Path]: ...
    def __getitem__(self, place: int | slice) -> Path | list[Path]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return self._path(self._name(range(len(self))[place]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list has none


class Sizes(Sequence[tuple[int, int]]):
    """Millions of `(height, width)` are one array."""

    def __init__(self, array: NDArray[np.int64]) -> None:
        self.array = array

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int]]) -> "Sizes":
        """Take sizes."""
        return cls(np.array(sizes, dtype=np.int64).reshape(-1, 2))

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, place: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[int, int]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, int] | list[tuple[int, int]]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        height, width = self.array[place].tolist()
        return height, width
