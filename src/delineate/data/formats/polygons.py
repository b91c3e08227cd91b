"""Polygons: that along the edges of a mask's pixels, and what one measures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

Corner = tuple[int, int]

RIGHT, DOWN, LEFT, UP = (1, 0), (0, 1), (-1, 0), (0, -1)


def outline(mask: Bool[Tensor, "h w"]) -> NDArray[np.float64]:
    """Find the corners `(N, 2)` of one polygon whose inside is the mask, which has a pixel at least.

    Parts and holes are joined to the first ring by lines of no width, there and back, so that filling it as COCO does
    gives the mask back pixel for pixel.
    """
    first, *others = rings(mask)
    corners = [first]
    for ring in others:
        corners += [first[:1], ring, ring[:1]]
    return np.concatenate(corners)


def rings(mask: Bool[Tensor, "h w"]) -> list[NDArray[np.float64]]:
    """Find the corners `(N, 2)` of the border of each part and of each hole of a mask, which has a pixel at least."""
    rows, columns = (mask.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
    corner: NDArray[np.float64] = np.array([columns[0], rows[0]], dtype=np.float64)
    return [corner + ring for ring in _rings(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].numpy())]


def area(corners: Sequence[float]) -> float:
    """Measure a polygon with the corners x, y, x, y ... by the shoelace formula."""
    x, y = (np.array(corners[axis::2], dtype=np.float64) for axis in (0, 1))
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2


def _rings(mask: NDArray[np.bool_]) -> list[list[Corner]]:
    """Walk along each closed border with the mask at the right hand; straight stretches have no corner."""
    steps = _steps(mask)
    rings = []
    while steps:
        start = corner = next(iter(steps))
        ring: list[Corner] = []
        before = None
        while corner in steps:
            step = _take(steps, corner, before)
            if step != before:
                ring.append(corner)
            corner, before = (corner[0] + step[0], corner[1] + step[1]), step
        assert corner == start
        rings.append(ring)
    return rings


def _steps(mask: NDArray[np.bool_]) -> dict[Corner, list[Corner]]:
    """Find the steps of one pixel, from each corner of the border, that keep the mask at the right hand."""
    framed = np.pad(mask, 1)
    inside = framed[1:-1, 1:-1]
    steps: dict[Corner, list[Corner]] = {}
    borders = (
        (inside & ~framed[:-2, 1:-1], (0, 0), RIGHT),
        (inside & ~framed[1:-1, 2:], (1, 0), DOWN),
        (inside & ~framed[2:, 1:-1], (1, 1), LEFT),
        (inside & ~framed[1:-1, :-2], (0, 1), UP),
    )
    for border, (right, down), step in borders:
        for y, x in np.argwhere(border).tolist():
            steps.setdefault((x + right, y + down), []).append(step)
    return steps


def _take(steps: dict[Corner, list[Corner]], corner: Corner, before: Corner | None) -> Corner:
    """Take the next step: to the left where two pixels touch at a corner, which keeps them in one ring."""
    choices = steps[corner]
    left = None if before is None else (before[1], -before[0])
    step = choices.pop(choices.index(left)) if left in choices else choices.pop()
    if not choices:
        del steps[corner]
    return step
