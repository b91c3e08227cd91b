"""A sample becomes the sample a network sees: picture, boxes, masks, keypoints and label map move together.

Coordinates are continuous (a picture of width W spans 0..W), for keypoints as for boxes: mirrored, x is W - x. That,
and label maps sampled at the centres of pixels, is why geometry is written here and not left to `tv_tensors`, which
mirror keypoints to W - 1 - x and sample masks at the corners of pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from delineate.data.preprocess import Preprocess
from delineate.ops.masks import boxes_of_masks
from delineate.values import IGNORE, Categories, Sample, Target

MEAN_COLOUR = tuple(round(255 * value) for value in Preprocess().mean)
"""Pictures are padded with this colour, which is near zero once they are normalised."""

Transform = Callable[[Sample], Sample]


def resized_target(target: Target, preprocess: Preprocess) -> Target:
    """Resize what is known of a picture as `preprocess` resizes the picture."""
    return target_of(target, (0, 0, *target.image_size), preprocess.resized(target.image_size))


def resized_crop(sample: Sample, window: tuple[int, int, int, int], size: tuple[int, int]) -> Sample:
    """Resize the window `(top, left, height, width)`, in pixels of the picture, to `size` `(height, width)`."""
    top, left, height, width = window
    image = sample.image[None, :, top : top + height, left : left + width]
    image = image.contiguous(memory_format=torch.channels_last)[0]  # as the resizing is fastest
    resized: Tensor = v2.functional.resize(image, list(size), antialias=True)
    return replace(sample, image=resized, target=target_of(sample.target, window, size))


def target_of(target: Target, window: tuple[int, int, int, int], size: tuple[int, int]) -> Target:
    """Resize what is known of a window to `size`.

    Boxes are clipped; one with a mask becomes the smallest around what is left of it. An object goes when its clipped
    box is less than a pixel wide or high, or nothing is left of its mask. Keypoints outside get visibility 0.
    """
    top, left, height, width = window
    offset = torch.tensor([left, top])
    scale = torch.tensor([size[1] / width, size[0] / height])
    limit = torch.tensor([size[1], size[0]])

    def moved_boxes(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        corners = (boxes.view(-1, 2, 2) - offset) * scale
        clipped = corners.clamp(torch.zeros(2), limit)
        large = (clipped.diff(dim=1) >= 1).flatten(1).all(1)
        return clipped.flatten(1), large, (clipped != corners).flatten(1).any(1)

    boxes, keep, cut = moved_boxes(target.boxes)
    proposals = target.proposals
    if proposals is not None:
        proposals, large, _ = moved_boxes(proposals)
        proposals = proposals[large]
    masks, keypoints, visibility = target.masks, target.keypoints, target.visibility
    if masks is not None:
        had_pixels = masks.flatten(1).any(1)
        masks = _nearest(masks, window, size)
        has_pixels = masks.flatten(1).any(1)
        keep &= has_pixels | ~had_pixels
        cut &= has_pixels & keep
        if cut.any():
            boxes[cut] = boxes_of_masks(masks[cut])
        masks = masks[keep]
    if keypoints is not None and visibility is not None:
        moved = (keypoints[keep] - offset) * scale
        outside = ((moved < 0) | (moved > limit)).any(-1)
        visibility = visibility[keep].masked_fill(outside, 0)
        keypoints = moved.masked_fill((visibility == 0)[..., None], 0)
    return Target(
        image_size=size,
        boxes=boxes[keep],
        labels=target.labels[keep],
        masks=masks,
        keypoints=keypoints,
        visibility=visibility,
        crowd=target.crowd[keep],
        difficult=target.difficult[keep],
        label_map=None if target.label_map is None else _nearest(target.label_map, window, size),
        proposals=proposals,
    )


def _nearest(
    values: Shaped[Tensor, "*n h w"], window: tuple[int, int, int, int], size: tuple[int, int]
) -> Shaped[Tensor, "*n h2 w2"]:
    """Take the value at the centre of each pixel; NumPy gathers bytes several times as fast as torch."""
    top, left, height, width = window
    rows = top + (2 * np.arange(size[0]) + 1) * height // (2 * size[0])
    columns = left + (2 * np.arange(size[1]) + 1) * width // (2 * size[1])
    return torch.from_numpy(values.numpy().take(rows, -2).take(columns, -1))


def horizontal_flip(sample: Sample, flip_order: Sequence[int]) -> Sample:
    """Mirror the picture; `flip_order[k]` is the keypoint that keypoint `k` becomes (`Categories.flip_order`)."""
    target = sample.target
    width = target.image_size[1]
    keypoints, visibility = target.keypoints, target.visibility
    if keypoints is not None and visibility is not None:
        assert len(flip_order) == visibility.shape[1], f"{len(flip_order)} keypoints of {visibility.shape[1]}"
        visibility = visibility[:, list(flip_order)]
        x, y = keypoints[:, list(flip_order)].unbind(-1)
        keypoints = torch.stack([torch.where(visibility > 0, width - x, x), y], -1)
    flipped = changed(
        target,
        boxes=_mirrored(target.boxes, width),
        masks=None if target.masks is None else target.masks.flip(-1),
        keypoints=keypoints,
        visibility=visibility,
        label_map=None if target.label_map is None else target.label_map.flip(-1),
        proposals=None if target.proposals is None else _mirrored(target.proposals, width),
    )
    return replace(sample, image=sample.image.flip(-1), target=flipped)


def _mirrored(boxes: Shaped[Tensor, "n 4"], width: int) -> Shaped[Tensor, "n 4"]:
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack([width - x2, y1, width - x1, y2], 1)


def pad(sample: Sample, size: tuple[int, int], place: tuple[int, int] = (0, 0)) -> Sample:
    """Put the sample on a canvas of `size`, which is no smaller, its top left corner at `place` `(y, x)`.

    The rest is the mean colour, and ignored in the label map.
    """
    target = sample.target
    if size == target.image_size:
        return sample
    top, left = place
    right, bottom = size[1] - target.image_size[1] - left, size[0] - target.image_size[0] - top
    rest = (left, right, top, bottom)
    offset = torch.tensor([left, top])
    keypoints, visibility = target.keypoints, target.visibility
    if keypoints is not None and visibility is not None:
        keypoints = keypoints + offset * (visibility > 0)[..., None]
    padded = changed(
        target,
        image_size=size,
        boxes=target.boxes + offset.repeat(2),
        keypoints=keypoints,
        proposals=None if target.proposals is None else target.proposals + offset.repeat(2),
        masks=None if target.masks is None else F.pad(target.masks, rest),
        label_map=None if target.label_map is None else F.pad(target.label_map, rest, value=IGNORE),
    )
    image = v2.functional.pad(sample.image, [left, top, right, bottom], fill=list(MEAN_COLOUR))
    return replace(sample, image=image, target=padded)


class Moved(Target):
    """A target that follows from a checked one, and is not checked again: the checks cost as much as the moving."""

    def __post_init__(self, categories: Categories | None) -> None:
        pass


def changed(target: Target, **fields: Any) -> Target:
    """Change values of a target to what they are after the picture was moved."""
    return Moved(**{**vars(target), **fields})
