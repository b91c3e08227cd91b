"""Pictures are made larger or smaller to be looked at, together with what is known or predicted of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from delineate.ops.boxes import scale_boxes
from delineate.ops.masks import RLE, encode_rle, sampled_rle
from delineate.values import Categories, Detections, LabelMap, Target
from delineate.viz.overlay import draw_target

Drawable = TypeVar("Drawable", bound=Target | Detections | LabelMap)

READABLE = 384
"""From this longer side on, in pixels, names leave something to be seen of the objects."""
LARGEST = 1024
"""Pictures of pages are no larger."""


def fitted(
    image: UInt8[Tensor, "3 h w"], value: Drawable, *, smallest: int = 1, largest: int | None = None
) -> tuple[UInt8[Tensor, "3 h2 w2"], Drawable]:
    """Scale picture and value by a whole factor to a longer side between `smallest` and `largest`."""
    height, width = image.shape[-2:]
    longer = max(height, width)
    step = 1 if largest is None else -(-longer // largest)
    factor = -(-smallest // longer) if step == 1 else 1
    return rescaled(image, value, (-(-height // step) * factor, -(-width // step) * factor))


def rescaled(
    image: UInt8[Tensor, "3 h w"], value: Drawable, size: tuple[int, int]
) -> tuple[UInt8[Tensor, "3 h2 w2"], Drawable]:
    """Resize picture and value to `(height, width)`; pixels of enlarged pictures, masks and label maps stay square.

    The picture may be of another size than the value, of which it is a smaller view then.
    """
    shown, before = (image.shape[-2], image.shape[-1]), value.image_size
    if size == before == shown:
        return image, value
    resized = image if size == shown else _resized(image, size)
    return resized, _moved(value, size)


def _resized(image: UInt8[Tensor, "3 h w"], size: tuple[int, int]) -> UInt8[Tensor, "3 h2 w2"]:
    larger = size[0] >= image.shape[-2] and size[1] >= image.shape[-1]
    interpolation = InterpolationMode.NEAREST if larger else InterpolationMode.BILINEAR
    resized: Tensor = transforms.resize(image, list(size), interpolation=interpolation, antialias=not larger)
    return resized


def _moved(value: Drawable, size: tuple[int, int]) -> Drawable:
    before = value.image_size
    rows, columns = (_nearest(old, new) for old, new in zip(before, size, strict=True))
    changes: dict[str, Any] = {}
    if isinstance(value, Target | LabelMap) and value.label_map is not None:
        changes["label_map"] = value.label_map[rows[:, None], columns]
    if isinstance(value, Target | Detections):
        changes |= {"image_size": size, "boxes": scale_boxes(value.boxes, before, size)}
        if value.keypoints is not None:
            ratio = value.keypoints.new_tensor([size[1] / before[1], size[0] / before[0]])
            changes["keypoints"] = value.keypoints * ratio
    if isinstance(value, Target):
        changes["proposals"] = None
        if value.masks is not None:
            changes["masks"] = value.masks[:, rows[:, None], columns]
    if isinstance(value, Detections) and value.rles is not None:
        changes["rles"] = _resized_rles(value.rles, rows, columns)
    return replace(value, **changes)


def beside_truth(
    image: UInt8[Tensor, "3 h w"], truth: Target, prediction: Detections | LabelMap, categories: Categories
) -> list[UInt8[Tensor, "3 _h _w"]]:
    """Draw a row of a `comparison_grid`: picture, truth, prediction; small pictures are enlarged, large ones reduced.

    Of the truth that is drawn which the prediction has too: boxes, masks, keypoints.
    """
    shown, known = fitted(image, _as_told(truth, prediction), smallest=READABLE, largest=LARGEST)
    _, predicted = fitted(image, prediction, smallest=READABLE, largest=LARGEST)
    return [shown, *(draw_target(shown, value, categories) for value in (known, predicted))]


def _as_told(truth: Target, prediction: Detections | LabelMap) -> Target:
    """Leave out of the truth what the prediction does not speak of."""
    if isinstance(prediction, LabelMap):
        return Target(image_size=truth.image_size, label_map=truth.label_map)
    if prediction.rles is None:
        truth = replace(truth, masks=None)
    if prediction.keypoints is None:
        truth = replace(truth, keypoints=None, visibility=None)
    return replace(truth, label_map=None)


def _nearest(before: int, after: int) -> Int64[Tensor, " {after}"]:
    """Find the old row (or column) that each new one shows."""
    return torch.arange(after) * before // after


def _resized_rles(rles: Sequence[RLE], rows: Tensor, columns: Tensor) -> list[RLE]:
    """Resize one after another: all masks of a large picture at once would not fit into memory."""
    return [encode_rle(sampled_rle(rle, rows, columns)[None])[0] for rle in rles]
