"""A sample becomes the sample a network sees: picture, boxes, masks, keypoints and label map move together.

Coordinates are continuous (a picture of width W spans 0..W), for keypoints as for boxes: mirrored, x is W - x. That,
and label maps sampled at the centres of pixels, is why geometry is written here and not left to `tv_tensors`, which
mirror keypoints to W - 1 - x and sample masks at the corners of pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

from delineate.data.preprocess import Preprocess
from delineate.values import IGNORE, Categories, InputError, Sample, Target

MEAN_COLOUR = tuple(round(255 * value) for value in Preprocess().mean)
"""Pictures are padded with this colour, which is near zero once they are normalised."""

Transform = Callable[[Sample], Sample]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Training pictures vary by these rules.

    `scale` is the range of a uniform random factor of both sides, `crop_size` the `(height, width)` cut out at a random
    place (`None`: the whole picture), `flip` the probability of a mirrored picture, and `colour` the largest relative
    change of brightness, contrast and saturation. `ssd` puts that paper's distortion of colours, zoom-out and crops
    that overlap objects in the place of scale, crop and colour.

    Raises `InputError` for values out of range.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    crop_size: tuple[int, int] | None = None
    flip: float = 0.5
    colour: float = 0.0
    ssd: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale: {self.scale} is not (smallest, largest) factor above 0")
        if self.crop_size is not None and min(self.crop_size) < 1:
            raise InputError(f"crop_size: {self.crop_size} is not (height, width), both at least 1")
        if not 0 <= self.flip <= 1:
            raise InputError(f"flip: {self.flip} is no probability in 0..1")
        if not 0 <= self.colour <= 1:
            raise InputError(f"colour: {self.colour} is outside 0..1")


def training_transform(augmentation: Augmentation, preprocess: Preprocess, categories: Categories) -> Transform:
    """Resize as `preprocess` says times a random factor, crop, pad, mirror, change colours; torch's randomness decides.

    Where the scaled picture is smaller than the crop it is padded at the right and the bottom. The picture stays uint8.
    """
    return partial(_augmented, augmentation=augmentation, preprocess=preprocess, flip_order=categories.flip_order)


def evaluation_transform(preprocess: Preprocess) -> Transform:
    """Resize as `preprocess` says, and nothing else."""
    return partial(_resized, preprocess=preprocess)


def _resized(sample: Sample, preprocess: Preprocess) -> Sample:
    size = sample.target.image_size
    return resized_crop(sample, (0, 0, *size), preprocess.resized(size))


def _augmented(sample: Sample, augmentation: Augmentation, preprocess: Preprocess, flip_order: Sequence[int]) -> Sample:
    if augmentation.ssd:
        sample = zoomed_out(replace(sample, image=v2.RandomPhotometricDistort()(sample.image)))
        sample = overlapping_crop(sample, augmentation.crop_size or preprocess.resized(sample.target.image_size))
        return horizontal_flip(sample, flip_order) if _uniform(0.0, 1.0) < augmentation.flip else sample
    factor = _uniform(*augmentation.scale)
    height, width = (max(1, round(side * factor)) for side in preprocess.resized(sample.target.image_size))
    crop = augmentation.crop_size or (height, width)
    size = min(crop[0], height), min(crop[1], width)
    # The window is chosen in the original picture, so that nothing is resized only to be cut away. Its sides are whole
    # pixels: the scale is the drawn factor to within half a pixel of the window.
    top, window_height = _window(sample.target.image_size[0], size[0] / height)
    left, window_width = _window(sample.target.image_size[1], size[1] / width)
    sample = resized_crop(sample, (top, left, window_height, window_width), size)
    if _uniform(0.0, 1.0) < augmentation.flip:
        sample = horizontal_flip(sample, flip_order)
    if augmentation.colour:
        jitter = v2.ColorJitter(augmentation.colour, augmentation.colour, augmentation.colour)
        sample = replace(sample, image=jitter(sample.image))
    return pad(sample, crop)


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def _window(side: int, share: float) -> tuple[int, int]:
    """Draw the start and the length of a stretch, in whole pixels, that is `share` of the side."""
    length = max(1, round(side * share))
    return int(torch.randint(side - length + 1, ())), length


def zoomed_out(sample: Sample) -> Sample:
    """Put every second picture on a canvas of up to four times its sides (Liu et al. 2016, SSD, section 3.6)."""
    if _uniform(0.0, 1.0) < 0.5:
        return sample
    factor = _uniform(1.0, 4.0)
    height, width = (round(side * factor) for side in sample.target.image_size)
    top, left = (
        int(torch.randint(side - inner + 1, ()))
        for side, inner in zip((height, width), sample.target.image_size, strict=True)
    )
    return pad(sample, (height, width), (top, left))


def overlapping_crop(sample: Sample, size: tuple[int, int]) -> Sample:
    """Cut a window that overlaps an object by a random IoU, or the whole, and resize it to `size`.

    Objects whose centre lies outside of it go (Liu et al. 2016, SSD, section 2.2).
    """
    target = sample.target
    if len(target):
        boxes = tv_tensors.BoundingBoxes(target.boxes, format="XYXY", canvas_size=target.image_size)
        drawn = v2.RandomIoUCrop().make_params([tv_tensors.Image(sample.image), boxes])
        if drawn:
            window = (drawn["top"], drawn["left"], drawn["height"], drawn["width"])
            inside = replace(sample, target=target[drawn["is_within_crop_area"]])
            return resized_crop(inside, window, size)
    return resized_crop(sample, (0, 0, *target.image_size), size)


def resized_crop(sample: Sample, window: tuple[int, int, int, int], size: tuple[int, int]) -> Sample:
    """Resize the window `(top, left, height, width)`, in pixels of the picture, to `size` `(height, width)`.

    Boxes are clipped. An object goes when its box is less than a pixel wide or high, or nothing is left of its mask.
    Keypoints outside get visibility 0.
    """
    top, left, height, width = window
    target = sample.target
    offset = torch.tensor([left, top])
    scale = torch.tensor([size[1] / width, size[0] / height])
    limit = torch.tensor([size[1], size[0]])

    def moved_boxes(boxes: Tensor) -> tuple[Tensor, Tensor]:
        corners = ((boxes.view(-1, 2, 2) - offset) * scale).clamp(torch.zeros(2), limit)
        return corners.flatten(1), (corners.diff(dim=1) >= 1).flatten(1).all(1)

    boxes, keep = moved_boxes(target.boxes)
    proposals = target.proposals
    if proposals is not None:
        proposals, large = moved_boxes(proposals)
        proposals = proposals[large]
    masks, keypoints, visibility = target.masks, target.keypoints, target.visibility
    if masks is not None:
        had_pixels = masks.flatten(1).any(1)
        masks = _nearest(masks, window, size)
        keep &= masks.flatten(1).any(1) | ~had_pixels
        masks = masks[keep]
    if keypoints is not None and visibility is not None:
        moved = (keypoints[keep] - offset) * scale
        outside = ((moved < 0) | (moved > limit)).any(-1)
        visibility = visibility[keep].masked_fill(outside, 0)
        keypoints = moved.masked_fill((visibility == 0)[..., None], 0)
    kept = Target(
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
    image = sample.image[None, :, top : top + height, left : left + width]
    image = image.contiguous(memory_format=torch.channels_last)[0]  # as the resizing is fastest
    resized: Tensor = v2.functional.resize(image, list(size), antialias=True)
    return replace(sample, image=resized, target=kept)


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
