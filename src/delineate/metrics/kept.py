"""Pictures that are measured together are kept as bytes, in memory while they are few, and on the disk while many."""

import pickle
import weakref
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Generic, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from delineate.ops.masks import RLE
from delineate.values import Detections, Target

Item = TypeVar("Item")
Value = TypeVar("Value", Detections, Target)

IN_MEMORY = 2**26
"""More bytes than that (67 million) go into a temporary file, which no other process sees, and which ends with this."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """One picture's detections and its target, whose masks are kept as RLE beside it."""

    number: int
    detections: Detections
    target: Target
    rles: list[RLE] | None


class Store:
    """A store gives back what was put into it, by its place; what is large is on the disk."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # it is closed with this
        self._ends = array("q", [0])
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, data: bytes) -> int:
        """Put something in, and give its place."""
        self._file.seek(self._ends[-1])
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))
        return len(self) - 1

    def __getitem__(self, place: int) -> bytes:
        self._file.seek(self._ends[place])
        return self._file.read(self._ends[place + 1] - self._ends[place])


class Each(Sequence[Item], Generic[Item]):
    """What is made of each of some rows is made when it is asked for, and not kept."""

    def __init__(self, make: Callable[[int], Item], rows: Sequence[int]) -> None:
        self._make, self._rows = make, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> list[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | list[Item]:
        rows = self._rows[place]
        return self._make(rows) if isinstance(rows, int) else [self._make(row) for row in rows]


class Kept:
    """Pictures come in any order, and are given in that of their numbers."""

    def __init__(self) -> None:
        self._store, self._numbers = Store(), array("q")
        self._order: NDArray[np.int64] | None = None

    def append(self, picture: Picture) -> None:
        """Take a picture."""
        self._take(picture.number, _packed(picture))

    def extend(self, other: "Kept") -> None:
        """Take all pictures of others."""
        for row, number in enumerate(other._numbers):
            self._take(number, other._store[row])

    def _take(self, number: int, data: bytes) -> None:
        self._store.append(data)
        self._numbers.append(number)
        self._order = None

    def in_order(self) -> Each[Picture]:
        """Give the pictures by their numbers."""
        return Each(self._picture, range(len(self._store)))

    def _picture(self, place: int) -> Picture:
        if self._order is None:
            self._order = np.argsort(np.array(self._numbers), kind="stable")
        return _unpacked(self._store[int(self._order[place])])

    def __getstate__(self) -> dict[str, Any]:
        return {"numbers": self._numbers, "pictures": [self._store[row] for row in range(len(self._store))]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]  # a file cannot be sent to another process
        for number, data in zip(state["numbers"], state["pictures"], strict=True):
            self._take(number, data)


def _packed(picture: Picture) -> bytes:
    found, target = _fields(picture.detections), _fields(picture.target)
    masks = [
        None if rles is None else [rle["counts"] for rle in rles] for rles in (found.pop("rles", None), picture.rles)
    ]
    return pickle.dumps((picture.number, found, target, masks), protocol=5)


def _fields(value: Detections | Target) -> dict[str, Any]:
    return {
        name: field.numpy() if isinstance(field, Tensor) else field
        for name, field in vars(value).items()
        if field is not None
    }


def _unpacked(data: bytes) -> Picture:
    number, found, target, masks = pickle.loads(data)  # own bytes
    size = found["image_size"]
    found_rles, rles = (
        None if counts is None else [RLE(size=list(size), counts=count) for count in counts] for counts in masks
    )
    if found_rles is not None:
        found["rles"] = found_rles
    return Picture(number=number, detections=_made(Detections, found), target=_made(Target, target), rles=rles)


def _made(kind: type[Value], fields: dict[str, Any]) -> Value:
    """Make a value of what was checked before."""
    made = object.__new__(kind)
    for name, field in fields.items():
        object.__setattr__(made, name, torch.from_numpy(field) if isinstance(field, np.ndarray) else field)
    return made
