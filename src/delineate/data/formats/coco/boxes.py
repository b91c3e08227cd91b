"""The boxes of COCO annotations are corners in their pictures; those without area, or said twice, are left out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.data.formats.coco.rows import Row, places, said_of
from delineate.data.formats.coco.segmentations import box_around
from delineate.data.numbers import table

MIX = np.uint64(0x9E3779B97F4A7C15)
"""An odd number of which each bit is as likely as not, as multiplicative hashes use it."""


def read_boxes(
    rows: Sequence[Row], shapes: Sequence[Any], sizes: NDArray[np.float64], source: Path
) -> tuple[NDArray[np.float32], list[str]]:
    """Turn each `bbox` (x, y, width, height), or what is around a mask, into a box that is cut to its picture."""
    written = [row.get("bbox") or box_around(shape) for row, shape in zip(rows, shapes, strict=True)]
    xywh = table(written, places(rows, "bbox", source), 4)
    turned = np.logical_or(xywh[:, 2] < 0, xywh[:, 3] < 0)
    with np.errstate(over="ignore"):
        ends = xywh[:, :2] + xywh[:, 2:]
    corners = np.concatenate([np.minimum(xywh[:, :2], ends), np.maximum(xywh[:, :2], ends)], axis=1)
    limits = np.tile(np.where(sizes > 0, sizes, np.inf)[:, ::-1], 2)
    clipped = np.clip(corners, 0, limits)
    outside = (np.abs(corners - clipped) > 1).any(1) & _has_area(clipped)
    problems = [
        *said_of(rows, turned, source, "{} of negative width or height, whose corners were put right"),
        *said_of(rows, outside, source, "{} reaching out of the picture, cut at its borders"),
    ]
    return clipped.astype(np.float32), problems


def _has_area(boxes: NDArray[Any]) -> NDArray[np.bool_]:
    x1, y1, x2, y2 = boxes.T
    found: NDArray[np.bool_] = np.logical_and(x2 > x1, y2 > y1)
    return found


def worth_keeping(
    rows: Sequence[Row],
    picture: NDArray[np.int64],
    label: NDArray[np.int64],
    boxes: NDArray[np.float32],
    source: Path,
) -> tuple[NDArray[np.int64], list[str]]:
    """Leave out boxes without area and what is said twice; the lines count both."""
    has_area = _has_area(boxes)
    doubled = has_area & _doubled(rows, picture, label, boxes)
    problems = [
        *said_of(rows, ~has_area, source, "left out {} whose boxes have no area in the picture"),
        *said_of(rows, doubled, source, "left out {} that say the same as another one"),
    ]
    return np.flatnonzero(has_area & ~doubled), problems


def _doubled(
    rows: Sequence[Row], picture: NDArray[np.int64], label: NDArray[np.int64], boxes: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Find what repeats an earlier annotation: its picture, class, box, mask, keypoints and whether it is a crowd.

    Only those whose hashes repeat are compared.
    """
    doubled = np.zeros(len(rows), dtype=np.bool_)
    bits = np.ascontiguousarray(boxes).view(np.uint32).astype(np.uint64)
    hashes = np.zeros(len(rows), dtype=np.uint64)
    for value in (picture.astype(np.uint64), label.astype(np.uint64), *bits.T):
        hashes = (hashes ^ value) * MIX
        hashes ^= hashes >> np.uint64(29)
    order = np.argsort(hashes, kind="stable")
    same = hashes[order][1:] == hashes[order][:-1]
    suspects = np.unique(np.concatenate([order[1:][same], order[:-1][same]]))
    seen = set()
    for row in suspects.tolist():
        others = [rows[row].get(field) for field in ("segmentation", "keypoints", "iscrowd")]
        said = repr((picture[row], label[row], boxes[row].tolist(), others))
        doubled[row] = said in seen
        seen.add(said)
    return doubled
