"""What is written of a picture is a record, before anything is checked, left out or put right.

All layouts are read into this one form: each object keeps the numbers that stand in its file, even where no reader
takes them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from delineate.data.formats.label_values import LabelValues

Size = tuple[int, int]
Box = tuple[float, float, float, float]
Keypoint = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An annotated object as it is written: `box` has two corners, in pixels, or where it is `relative` in 0..1.

    `row` is its place in its file, which `place` names. `shape` is a COCO segmentation. The corners are those of the
    file, in any order, where a reader keeps that; else `swapped` says that it put them right.
    """

    row: int
    place: str
    name: str
    box: Box | None = None
    shape: Any = None
    keypoints: tuple[Keypoint, ...] = ()
    crowd: bool = False
    difficult: bool = False
    relative: bool = False
    swapped: bool = False

    def scaled(self, width: float, height: float) -> "Thing":
        """Multiply all coordinates."""
        box = None if self.box is None else _times(self.box, width, height)
        shape = [list(_times(polygon, width, height)) for polygon in self.shape] if _are_polygons(self.shape) else None
        keypoints = tuple((x * width, y * height, seen) for x, y, seen in self.keypoints)
        return replace(self, box=box, shape=self.shape if shape is None else shape, keypoints=keypoints)

    def in_pixels(self, size: Size) -> "Thing":
        """Give the object in pixels of a picture of `(height, width)`."""
        return replace(self.scaled(size[1], size[0]), relative=False) if self.relative else self


class Hit(NamedTuple):
    """Something of a kind was found: where, what in particular, and at which objects (their rows)."""

    kind: str
    place: str
    detail: str = ""
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A picture has a file, a name as the annotation `source` writes it, and a size that it says, 0 if it says none.

    `rows` are what the layout keeps of its objects. A `missing` file is not there, as this line says; what `held` gives
    is the file's content, where the annotation has it in itself. The pixels of an `object_map` have the number of
    their object.
    """

    split: str
    file: Path
    source: Path
    written: str = ""
    said: Size = (0, 0)
    rows: Any = None
    missing: str = ""
    held: Callable[[], bytes] | None = None
    label_map: Path | None = None
    object_map: Path | None = None


Read = Callable[[Record], tuple[Sequence[Thing], Sequence[Hit]]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A split has records, and `things` reads the objects of each; `names` are the classes, `hits` are of no picture.

    Where records have label maps, `values` says what these mean.
    A box has a side of more than `least` pixels: VOC writes a pixel as it does no area. Coordinates `in_shares` are
    written in 0..1. What counts is objects, or where there are none, `of_pixels`.
    """

    split: str
    records: Sequence[Record]
    things: Read = lambda _: ((), ())
    names: Sequence[str] = ()
    keypoint_names: Sequence[str] = ()
    flip_order: Sequence[int] = ()
    ids: Mapping[str, Any] = field(default_factory=dict)
    values: LabelValues | None = None
    hits: Sequence[Hit] = ()
    least: float = 0
    in_shares: bool = False
    of_pixels: bool = False


def _times(values: Sequence[float], width: float, height: float) -> Any:
    scaled = list(values)
    scaled[0::2] = [x * width for x in values[0::2]]
    scaled[1::2] = [y * height for y in values[1::2]]
    return tuple(scaled)


def _are_polygons(shape: Any) -> bool:
    return isinstance(shape, list) and all(isinstance(polygon, list | tuple) for polygon in shape)
