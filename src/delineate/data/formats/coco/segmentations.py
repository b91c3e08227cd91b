"""A COCO segmentation is polygons or a run-length encoding: its numbers are checked at once, its pixels come later."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Bool
from torch import Tensor

from delineate.data.numbers import column, numbers, whole
from delineate.ops.masks import RLE, decode_rle
from delineate.values import InputError

FURTHEST = 1e6
"""A corner that is so many pixels away is a mistake, and walking there along the polygon would fill the memory."""

UNREADABLE = (ValueError, TypeError, KeyError, RuntimeError)
"""A malformed segmentation raises one of these when it is decoded."""


def read_segmentations(shapes: Sequence[Any], where: Callable[[int], str]) -> list[Any]:
    """Read what each annotation has as `segmentation`; raises `InputError` with the place of the first bad number."""
    are_sound = _are_sound([shape for shape in shapes if isinstance(shape, list)])

    def read_one(row: int, shape: Any) -> Any:
        if not shape or (are_sound and isinstance(shape, list)):
            return shape
        return _polygons(shape, where(row)) if isinstance(shape, list) else _code(shape, where(row))

    return [read_one(row, shape) for row, shape in enumerate(shapes)]


def is_mask(shape: Any) -> bool:
    """Tell whether there is a run-length encoding or a polygon of three corners at least."""
    return isinstance(shape, dict) or any(len(polygon) >= 6 for polygon in shape or ())


def box_around(shape: Any) -> list[float] | None:
    """Find x, y, width and height of what is in polygons or a run-length encoding; `None` where there is no mask."""
    if not shape or not is_mask(shape):
        return None
    if isinstance(shape, dict):
        try:
            box: list[float] = coco_masks.toBbox(coco_masks.segmToRle(shape, *reversed(shape["size"]))).tolist()
        except UNREADABLE:
            return None
        return box
    corners = np.array([*chain.from_iterable(shape)], dtype=np.float64).reshape(-1, 2)
    return [*corners.min(0).tolist(), *np.ptp(corners, axis=0).tolist()]


def rasterise(shapes: Sequence[Any], image_size: tuple[int, int], where: Callable[[int], str]) -> Bool[Tensor, "n h w"]:
    """Make the masks of a picture as COCO does; raises `InputError` with the place of the first that is none."""
    try:
        return decode_rle([_rle(shape, image_size) for shape in shapes], image_size)
    except UNREADABLE:
        bad = next(row for row, shape in enumerate(shapes) if not _is_readable(shape, image_size))
    height, width = image_size
    raise InputError(
        f"{where(bad)}: it is neither polygons [[x, y, ...], ...] nor the run-length encoding of a mask of height "
        f"{height} and width {width}"
    )


def _are_sound(shapes: Sequence[Any]) -> bool:
    """Tell whether all are polygons of numbers, at once and hence without naming those that are not."""
    polygons = [polygon for shape in shapes for polygon in shape]
    try:
        if not set(map(type, chain.from_iterable(polygons))) <= {int, float}:
            return False
        coordinates = np.fromiter(chain.from_iterable(polygons), dtype=np.float64)
    except (TypeError, OverflowError):
        return False
    return bool((np.abs(coordinates) <= FURTHEST).all()) and not any(len(polygon) % 2 for polygon in polygons)


def _polygons(shape: list[Any], where: str) -> list[list[float]]:
    are_lists = all(isinstance(polygon, list) for polygon in shape)
    polygons = [numbers(polygon, where) for polygon in shape] if are_lists else []
    if not are_lists or any(len(polygon) % 2 for polygon in polygons):
        raise InputError(f"{where}: it is neither polygons [[x, y, ...], ...] nor a run-length encoding")
    for polygon in polygons:
        if polygon and max(map(abs, polygon)) > FURTHEST:
            raise InputError(f"{where}: a corner is {max(map(abs, polygon)):.3g} pixels away; correct it")
    return polygons


def _code(shape: Any, where: str) -> dict[str, Any]:
    """Read a run-length encoding, whose counts are a text or a list of whole numbers."""
    size, counts = (shape.get("size"), shape.get("counts")) if isinstance(shape, dict) else (None, None)
    if not isinstance(size, list) or len(size) != 2 or not isinstance(counts, str | list):
        raise InputError(f"{where}: it is neither polygons [[x, y, ...], ...] nor a run-length encoding with its size")
    height, width = (whole(side, f"{where}: size") for side in size)
    if isinstance(counts, list):
        runs = column(counts, lambda _: f"{where}: counts")
        if (runs < 0).any() or (runs % 1 != 0).any() or runs.sum() != height * width:
            raise InputError(
                f"{where}: it is neither polygons nor a run-length encoding of {height} x {width} pixels, by its counts"
            )
        counts = runs.astype(np.int64).tolist()
    return {"size": [height, width], "counts": counts}


def _rle(shape: Any, image_size: tuple[int, int]) -> RLE:
    if isinstance(shape, list):  # of four numbers, the library would take all for boxes
        shape = [polygon for polygon in shape if len(polygon) >= 6]
    rle = coco_masks.segmToRle(shape, image_size[1], image_size[0])
    return RLE(size=list(rle["size"]), counts=rle["counts"].decode())


def _is_readable(shape: Any, image_size: tuple[int, int]) -> bool:
    try:
        decode_rle([_rle(shape, image_size)], image_size)
    except UNREADABLE:
        return False
    return True
