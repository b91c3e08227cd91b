"""The segmentations of millions of annotations are numbers in a row, which processes share, and are read one by one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Shapes:
    """The segmentation of row `i` is that of the annotation `order[i]`, in the order of the file.

    Its polygons are those from `polygons_of[a]` up to `polygons_of[a + 1]`, and polygon `p` has the `coordinates` from
    `corners_of[p]` up to `corners_of[p + 1]`. What is no list of polygons is JSON in `codes`, from `codes_of[a]` up to
    `codes_of[a + 1]`.
    """

    order: NDArray[np.int64]
    polygons_of: NDArray[np.int64]
    corners_of: NDArray[np.int64]
    coordinates: NDArray[np.float64]
    codes_of: NDArray[np.int64]
    codes: NDArray[np.uint8]

    @classmethod
    def of(cls, shapes: Sequence[Any]) -> "Shapes":
        """Take what `read_segmentations` gives."""
        polygons = [shape if isinstance(shape, list) else () for shape in shapes]
        flat = [polygon for several in polygons for polygon in several]
        codes = [json.dumps(shape).encode() if isinstance(shape, dict) else b"" for shape in shapes]
        return cls(
            order=np.arange(len(shapes)),
            polygons_of=_ends(map(len, polygons), len(shapes)),
            corners_of=_ends(map(len, flat), len(flat)),
            coordinates=np.fromiter(chain.from_iterable(flat), dtype=np.float64),
            codes_of=_ends(map(len, codes), len(shapes)),
            codes=np.frombuffer(b"".join(codes), dtype=np.uint8),
        )

    @classmethod
    def none(cls, count: int) -> "Shapes":
        """Make as many as there are annotations without any, which share a place and take no memory."""
        starts = np.zeros(2, dtype=np.int64)
        return cls(
            order=np.broadcast_to(starts[0], count),
            polygons_of=starts,
            corners_of=starts[:1],
            coordinates=np.zeros(0),
            codes_of=starts,
            codes=np.zeros(0, dtype=np.uint8),
        )

    @classmethod
    def joined(cls, parts: "Sequence[Shapes]") -> "Shapes":
        """Put those of one slice of a file behind those of another; all are in the order of the file."""
        if not any(len(part.corners_of) > 1 or len(part.codes) for part in parts):
            return cls.none(sum(map(len, parts)))
        return cls(
            order=np.arange(sum(map(len, parts))),
            polygons_of=_behind([part._spread(part.polygons_of) for part in parts]),
            corners_of=_behind([part.corners_of for part in parts]),
            coordinates=np.concatenate([part.coordinates for part in parts]),
            codes_of=_behind([part._spread(part.codes_of) for part in parts]),
            codes=np.concatenate([part.codes for part in parts]),
        )

    def ordered(self, rows: NDArray[np.int64]) -> "Shapes":
        """Choose and order rows."""
        return replace(self, order=self.order[rows])

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, row: int) -> Any:
        place = self.order[row]
        if self.codes_of[place] < self.codes_of[place + 1]:
            return json.loads(self.codes[self.codes_of[place] : self.codes_of[place + 1]].tobytes())
        polygons = range(self.polygons_of[place], self.polygons_of[place + 1])
        return [self.coordinates[self.corners_of[p] : self.corners_of[p + 1]].tolist() for p in polygons] or None

    @property
    def bare(self) -> NDArray[np.bool_]:
        """Tell of which rows there is no mask: neither a run-length encoding nor a polygon of three corners."""
        are_polygons = np.concatenate([[0], np.cumsum(np.diff(self.corners_of) >= 6)])
        num = are_polygons[self.polygons_of[1:]] - are_polygons[self.polygons_of[:-1]]
        found: NDArray[np.bool_] = ((num == 0) & (np.diff(self.codes_of) == 0))[self.order]
        return found

    def _spread(self, starts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give each annotation a place of its own, where there are none and all share one."""
        return starts if len(starts) == len(self) + 1 else np.zeros(len(self) + 1, dtype=np.int64)


def _ends(lengths: Any, count: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, dtype=np.int64, count=count), dtype=np.int64)])


def _behind(starts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    bases = np.cumsum([0, *(one[-1] for one in starts[:-1])]) if starts else ()
    shifted = [one[1:] + base for one, base in zip(starts, bases, strict=True)]
    return np.concatenate([np.zeros(1, dtype=np.int64), *shifted])
