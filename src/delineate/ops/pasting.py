"""Masks of boxes are pasted into their picture, straight to run lengths."""

from typing import Any

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Float
from torch import Tensor

from delineate.ops.compiling import compiled
from delineate.ops.masks import RLE


def paste_masks(
    probabilities: Float[Tensor, "n m m"],
    boxes: Float[Tensor, "n 4"],
    image_size: tuple[int, int],
    threshold: float = 0.5,
) -> list[RLE]:
    """Enlarge each mask bilinearly to its box and cut it at `threshold`, in a picture of `(height, width)`.

    Parts and holes stay, and what overhangs the picture is cut off. Runs on the CPU, wherever the masks are, and never
    holds a mask as large as the picture or the box. He et al. 2017, Mask R-CNN, section 3.1 (inference), with the
    geometry of Detectron: a border of zeros around the mask, and corners truncated to whole pixels.
    """
    if not len(boxes):
        return []
    height, width = image_size
    padded = np.pad(probabilities.detach().float().cpu().numpy(), ((0, 0), (1, 1), (1, 1)))
    boxes = boxes.detach().cpu()
    centres, halves = (boxes[:, 2:] + boxes[:, :2]) * 0.5, (boxes[:, 2:] - boxes[:, :2]) * 0.5
    halves = halves * (padded.shape[-1] / probabilities.shape[-1])
    corners = torch.cat([centres - halves, centres + halves], dim=1).long().tolist()
    uncompressed = []
    for mask, corner in zip(padded, corners, strict=True):
        x1, y1, x2, y2 = corner
        flips = _flips(mask, x1, y1, x2, y2, height, width, np.float32(threshold))
        runs = np.diff(flips, prepend=0, append=height * width)
        uncompressed.append({"size": [height, width], "counts": runs.tolist()})
    rles: list[dict[str, Any]] = coco_masks.frPyObjects(uncompressed, height, width)
    return [RLE(size=[height, width], counts=rle["counts"].decode()) for rle in rles]


@compiled
def _taps(first: int, stop: int, corner: int, length: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute for each pixel of `first .. stop-1` the value before it, of `side` values, and the weight of the next.

    The `side` values are spread evenly over `length` pixels from `corner` on, and the outermost ones continue.
    """
    before = np.zeros(max(stop - first, 0), np.int64)
    weight = np.zeros(max(stop - first, 0), np.float32)
    half = np.float32(0.5)
    for pixel in range(first, stop):
        place = max((np.float32(pixel - corner) + half) * (np.float32(side) / np.float32(length)) - half, np.float32(0))
        before[pixel - first] = min(int(place), side - 1)
        weight[pixel - first] = place - np.float32(before[pixel - first])
    return before, weight


@compiled
def _flips(
    mask: np.ndarray, x1: int, y1: int, x2: int, y2: int, height: int, width: int, threshold: np.float32
) -> np.ndarray:
    """Find the pixels, counted down the columns, at which the pasted mask begins or ends.

    Between two rows of the mask a column is linear: if both are on one side of the threshold, so are all pixels
    between. Only the stretches in which the border lies are looked at pixel by pixel.
    """
    side = len(mask)
    columns, rows = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
    left, right = max(x1, 0), min(x1 + columns, width)
    top, bottom = max(y1, 0), min(y1 + rows, height)
    before_x, weight_x = _taps(left, right, x1, columns, side)
    before_y, weight_y = _taps(top, bottom, y1, rows, side)
    starts = np.searchsorted(before_y, np.arange(side + 1))
    one = np.float32(1)
    values = np.empty(side + 1, np.float32)
    flips = np.empty(64, np.int64)
    used = 0
    for x in range(left, right):
        a, weight = before_x[x - left], weight_x[x - left]
        b = min(a + 1, side - 1)
        for row in range(side):
            values[row] = (one - weight) * mask[row, a] + weight * mask[row, b]
        values[side] = values[side - 1]
        if used + len(before_y) + 1 > len(flips):
            longer = np.empty(2 * len(flips) + len(before_y), np.int64)
            longer[:used] = flips[:used]
            flips = longer
        inside = False
        for row in range(side):
            begins = values[row] > threshold
            crosses = begins != (values[row + 1] > threshold)
            stop = starts[row + 1] if crosses else min(starts[row + 1], starts[row] + 1)
            for y in range(starts[row], stop):
                pixel = begins
                if crosses:
                    pixel = (one - weight_y[y]) * values[row] + weight_y[y] * values[row + 1] > threshold
                if pixel == inside:
                    continue
                inside = pixel
                place = x * height + top + y
                if used and flips[used - 1] == place:  # it ended at the foot of a column and goes on atop the next
                    used -= 1
                else:
                    flips[used] = place
                    used += 1
        if inside:
            flips[used] = x * height + bottom
            used += 1
    if used and flips[used - 1] == height * width:
        used -= 1
    return flips[:used]
