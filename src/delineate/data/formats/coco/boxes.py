"""The boxes of COCO annotations are corners in their pictures; those without area, or said twice, are left out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.data.formats.coco.rows import Row, Said, places, said_of
from delineate.data.formats.coco.segmentations import box_around
from delineate.data.numbers import table

TURNED = "{} of negative width or height, whose corners were put right"
OUTSIDE = "{} reaching out of the picture, cut at its borders"
WITHOUT_AREA = "left out {} whose boxes have no area in the picture"
IN_ORDER = (TURNED, OUTSIDE, WITHOUT_AREA)
"""It is said in this order."""
MIX = np.uint64(0x9E3779B97F4A7C15)
"""An odd number of which each bit is as likely as not, as multiplicative hashes use it."""


def read_boxes(
    rows: Sequence[Row], shapes: Sequence[Any], sizes: NDArray[np.float64], source: Path
) -> tuple[NDArray[np.float32], list[Said]]:
    """Turn each `bbox` (x, y, width, height), or what is around a mask, into a box that is cut to its picture."""
    written = [row.get("bbox") or box_around(shape) for row, shape in zip(rows, shapes, strict=True)]
    return corners_of(table(written, places(rows, "bbox", source), 4), [row["id"] for row in rows], sizes)


def corners_of(
    xywh: NDArray[np.float64], ids: Any, sizes: NDArray[np.float64]
) -> tuple[NDArray[np.float32], list[Said]]:
    """Turn boxes of x, y, width, height into corners, cut to their pictures."""
    turned = np.logical_or(xywh[:, 2] < 0, xywh[:, 3] < 0)
    with np.errstate(over="ignore"):
        ends = xywh[:, :2] + xywh[:, 2:]
    corners = np.concatenate([np.minimum(xywh[:, :2], ends), np.maximum(xywh[:, :2], ends)], axis=1)
    limits = np.tile(np.where(sizes > 0, sizes, np.inf)[:, ::-1], 2)
    clipped = np.clip(corners, 0, limits)
    outside = (np.abs(corners - clipped) > 1).any(1) & has_area(clipped)
    said = [
        *said_of(ids, turned, TURNED),
        *said_of(ids, outside, OUTSIDE),
    ]
    return clipped.astype(np.float32), said


def has_area(boxes: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which boxes have an area."""
    x1, y1, x2, y2 = boxes.T
    found: NDArray[np.bool_] = np.logical_and(x2 > x1, y2 > y1)
    return found


def said_before(
    picture: NDArray[np.int32], category: NDArray[np.int32], boxes: NDArray[np.float32], others: Callable[[int], Any]
) -> NDArray[np.bool_]:
    """Find what repeats an earlier annotation: its picture, class, box, and what `others` gives of a row.

    Only those whose hashes repeat are compared.
    """
    repeated = np.zeros(len(boxes), dtype=np.bool_)
    bits = np.ascontiguousarray(boxes).view(np.uint32)
    hashes = np.zeros(len(boxes), dtype=np.uint64)
    for value in (picture, category, *bits.T):
        hashes ^= value.astype(np.uint64)
        hashes *= MIX
        hashes ^= hashes >> np.uint64(29)
    in_order = np.sort(hashes)
    several = in_order[1:][in_order[1:] == in_order[:-1]]
    if not len(several):
        return repeated
    nearest = several[np.searchsorted(several, hashes).clip(max=len(several) - 1)]  # isin would take more memory
    seen = set()
    for row in np.flatnonzero(nearest == hashes).tolist():
        said = repr((picture[row], category[row], boxes[row].tolist(), others(row)))
        repeated[row] = said in seen
        seen.add(said)
    return repeated
