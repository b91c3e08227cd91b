"""Checks that several values share: each raises `InputError` naming the field and the first bad row."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from delineate.values.errors import InputError

IGNORE = 255
"""The value of a label map's pixels that carry no loss and no score."""


def check_image_size(image_size: tuple[int, int]) -> None:
    """Check that it is `(height, width)`, both at least 1."""
    if len(image_size) != 2 or min(image_size) < 1:
        raise InputError(f"image_size: {image_size} is not (height, width), both at least 1")


def check_length(field: str, value: Tensor | Sequence[Any], count: int) -> None:
    """Check that there is one row a box."""
    if len(value) != count:
        raise InputError(f"{field}: {len(value)} rows beside {count} boxes; every instance field has one row a box")


def check_boxes(boxes: Tensor, image_size: tuple[int, int], field: str = "boxes") -> None:
    """Check that boxes are finite float32 `(N, 4)`, `0 <= x1 < x2 <= width` and `0 <= y1 < y2 <= height`."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"{field}: shape {tuple(boxes.shape)} is not (N, 4)")
    if boxes.dtype != torch.float32:
        raise InputError(f"{field}: {boxes.dtype} is not torch.float32")
    if not len(boxes):
        return
    height, width = image_size
    x1, y1, x2, y2 = boxes.unbind(1)
    _first_bad(field, boxes, ~boxes.isfinite().all(1), "is not finite")
    _first_bad(field, boxes, (x2 <= x1) | (y2 <= y1), "has no area (x1 < x2 and y1 < y2 are needed)")
    outside = (x1 < 0) | (y1 < 0) | (x2 > width) | (y2 > height)
    _first_bad(field, boxes, outside, f"is outside the picture of height {height} and width {width}")


def check_labels(field: str, labels: Tensor, num_classes: int | None) -> None:
    """Check that labels are int64 in `0..num_classes-1`, without `num_classes` at least 0."""
    if labels.dtype != torch.int64:
        raise InputError(f"{field}: {labels.dtype} is not torch.int64")
    if not labels.numel():
        return
    bad = labels < 0
    if num_classes is not None:
        bad |= labels >= num_classes
    upper = "" if num_classes is None else f"..{num_classes - 1}"
    _first_bad(field, labels, bad, f"is outside 0{upper}")


def check_label_map(label_map: Tensor, num_classes: int | None) -> None:
    """Check that values are int64 in `0..num_classes-1` or `IGNORE`, without `num_classes` at least 0."""
    if label_map.dtype != torch.int64:
        raise InputError(f"label_map: {label_map.dtype} is not torch.int64")
    if num_classes is None and (label_map.numel() == 0 or label_map.min() >= 0):
        return  # the usual case, in a third of the time
    bad = label_map < 0
    if num_classes is not None:
        bad |= (label_map >= num_classes) & (label_map != IGNORE)
    if bad.any():
        y, x = bad.nonzero()[0].tolist()
        raise InputError(
            f"label_map: value {int(label_map[y, x])} at row {y}, column {x} is no class of {num_classes} "
            f"and not {IGNORE} (ignore)"
        )


def check_masks(masks: Tensor, count: int, image_size: tuple[int, int]) -> None:
    """Check that masks are bool `(N, H, W)` of the picture's size."""
    check_length("masks", masks, count)
    if masks.dtype != torch.bool or masks.shape[1:] != image_size:
        raise InputError(
            f"masks: {masks.dtype} {tuple(masks.shape)} is not torch.bool (N, {image_size[0]}, {image_size[1]})"
        )


def check_keypoints(keypoints: Tensor | None, visibility: Tensor | None, count: int) -> None:
    """Check that both or neither are given, visibility is 0, 1 or 2, and annotated keypoints are finite."""
    if keypoints is None and visibility is None:
        return
    if keypoints is None or visibility is None:
        raise InputError("keypoints and visibility: one is given without the other")
    check_length("keypoints", keypoints, count)
    check_length("visibility", visibility, count)
    if keypoints.ndim != 3 or keypoints.shape[2] != 2 or visibility.shape != keypoints.shape[:2]:
        raise InputError(
            f"keypoints {tuple(keypoints.shape)} and visibility {tuple(visibility.shape)}: not (N, K, 2) and (N, K)"
        )
    _first_bad("visibility", visibility, ((visibility < 0) | (visibility > 2)).any(1), "is not made of 0, 1 and 2")
    seen = keypoints.masked_fill((visibility == 0)[..., None], 0)
    _first_bad("keypoints", keypoints, ~seen.isfinite().flatten(1).all(1), "is not finite")


def _first_bad(field: str, values: Tensor, bad: Tensor, reason: str) -> None:
    if bad.any():
        row = int(bad.nonzero()[0, 0])
        raise InputError(f"{field}: row {row} {values[row].tolist()} {reason}")
