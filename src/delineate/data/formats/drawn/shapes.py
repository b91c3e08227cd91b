"""Tools for labelling draw shapes on pictures: boxes, polygons, ellipses and masks."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from delineate.data.images import MAX_PIXELS
from delineate.data.numbers import whole
from delineate.ops.masks import RLE, encode_rle
from delineate.values import InputError

NUM_CORNERS = 64
"""An ellipse is drawn with so many corners."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A shape is drawn around an object of class `name`; `where` is its place in the annotation file.

    It is a polygon with the `corners` x, y, x, y ..., of which a box has the enclosing one alone, or else a mask.
    Shapes of one class and `group` are parts of one object. The corners of a `swapped` box are exchanged in its file.
    """

    name: str
    where: str
    corners: Sequence[float] = ()
    mask: RLE | None = None
    is_box: bool = False
    group: Hashable = None
    swapped: bool = False


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """The shapes on one picture, which goes by these names, the likeliest first, in the annotation file `source`.

    `remarks` are the places of what is left out or changed, by what is said of them. A picture is `embedded` where
    `source` holds it. `broken` are the errors of what cannot be read, which whoever needs the drawing raises.
    """

    source: Path
    split: str
    names: Sequence[str]
    image_size: tuple[int, int] | None
    shapes: Sequence[Shape]
    remarks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    embedded: bool = False
    broken: Sequence[InputError] = ()


def given_size(height: Any, width: Any, where: str) -> tuple[int, int] | None:
    """Read the `(height, width)` of a picture; where it is not given, or 0, the picture's own counts."""
    given = whole(height or 0, f"{where}: height"), whole(width or 0, f"{where}: width")
    if min(given) < 0 or given[0] * given[1] > MAX_PIXELS:
        raise InputError(f"{where}: {given[1]} x {given[0]} pixels are no size of a picture")
    return given if min(given) else None


def remarks_of_swapped(shape: Shape, remarks: Mapping[str, list[str]]) -> None:
    """Remark that the corners of a box were put right."""
    if shape.swapped:
        remarks["put boxes right whose corners are exchanged"].append(shape.where)


def mask_at(part: Bool[Tensor, "h w"], left: int, top: int, image_size: tuple[int, int] | None, where: str) -> RLE:
    """Put the mask of an extent into that of its picture; what lies outside is cut off."""
    if image_size is None:
        raise InputError(f"{where}: a mask needs the height and the width of its picture")
    mask = torch.zeros(1, *image_size, dtype=torch.bool)
    part = part[max(0, -top) :, max(0, -left) :]
    place = mask[0, max(0, top) : max(0, top) + part.shape[0], max(0, left) : max(0, left) + part.shape[1]]
    place |= part[: place.shape[0], : place.shape[1]]
    return encode_rle(mask)[0]


def ellipse(x: float, y: float, radii: tuple[float, float], angle: float = 0.0) -> list[float]:
    """Give the corners of an ellipse, turned by an angle in radians from x to y."""
    turns = [2 * math.pi * corner / NUM_CORNERS for corner in range(NUM_CORNERS)]
    return turned(
        [part for turn in turns for part in (x + radii[0] * math.cos(turn), y + radii[1] * math.sin(turn))], angle
    )


def turned(corners: Sequence[float], angle: float) -> list[float]:
    """Turn corners around the middle of their extent by an angle in radians, from x to y."""
    xs, ys = corners[0::2], corners[1::2]
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    pairs = ((a - x, b - y) for a, b in zip(xs, ys, strict=True))
    return [part for a, b in pairs for part in (x + a * cos - b * sin, y + a * sin + b * cos)]
