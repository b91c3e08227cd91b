"""Training pictures are turned, blurred and put together of several, with all that is known of them.

    sample at training size ─► mosaic of four ─► mixed with another ─► others' objects pasted ─► turned ─► blurred

Boxes, masks, keypoints and label maps move together. Masks, where there are some, say where the boxes are.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode

from delineate.data.transforms import MEAN_COLOUR, changed, pad, resized_crop
from delineate.ops.masks import boxes_of_masks
from delineate.values import IGNORE, InputError, Sample, Target

Another = Callable[[], Sample]
"""Draws another training picture."""
Mix = Callable[[Sample, Another], Sample]
"""Makes a training picture of one and of others that it may ask for."""
CENTRE = (0.25, 0.75)
"""The four pictures of a mosaic meet between these shares of its sides."""
BLUR = (0.3, 2.0)
"""Standard deviations of blurring, in pixels."""


def alone(sample: Sample, another: Another) -> Sample:
    """Leave a picture as it is."""
    return sample


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Pictures are put together, turned and blurred by these rules; all are off where nothing is said.

    `mosaic`, `mixup`, `copy_paste` and `blur` are probabilities, `rotate` and `shear` the largest angle in degrees.
    Raises `InputError` for values out of range.
    """

    mosaic: float = 0.0
    mixup: float = 0.0
    copy_paste: float = 0.0
    rotate: float = 0.0
    shear: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), {"rotate": 180, "shear": 45}.get(field.name, 1)
            if not 0 <= value <= most:
                raise InputError(f"{field.name}: {value} is outside 0..{most}")

    def __call__(self, sample: Sample, another: Another) -> Sample:
        """Make a training picture of one at training size; torch's randomness decides."""
        if _happens(self.mosaic):
            sample = mosaic([sample, another(), another(), another()])
        if _happens(self.mixup):
            sample = mixup(sample, another())
        if _happens(self.copy_paste):
            sample = copy_paste(sample, another())
        if self.rotate or self.shear:
            angle, shear = (_uniform(-most, most) for most in (self.rotate, self.shear))
            sample = turned(sample, angle, shear)
        if _happens(self.blur):
            sample = replace(sample, image=v2.functional.gaussian_blur(sample.image, [7, 7], [_uniform(*BLUR)]))
        return sample


def _happens(probability: float) -> bool:
    return probability > 0 and float(torch.rand(())) < probability


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def mosaic(samples: Sequence[Sample]) -> Sample:
    """Put windows of four pictures around a random point (Bochkovskiy et al. 2020, YOLOv4, section 3.3).

    It has the size of the first one; what is shown keeps its scale.
    """
    height, width = samples[0].target.image_size
    row, column = (round(side * _uniform(*CENTRE)) for side in (height, width))
    corners = [(0, 0, row, column), (0, column, row, width), (row, 0, height, column), (row, column, height, width)]
    image, targets = torch.empty_like(samples[0].image), []
    for sample, (top, left, bottom, right) in zip(samples, corners, strict=True):
        part = _window(sample, (bottom - top, right - left))
        image[:, top:bottom, left:right] = part.image
        targets.append(pad(part, (height, width), (top, left)).target)
    label_map = None if targets[0].label_map is None else image.new_full((height, width), IGNORE, dtype=torch.int64)
    for target, (top, left, bottom, right) in zip(targets, corners, strict=True):
        if label_map is not None and target.label_map is not None:
            label_map[top:bottom, left:right] = target.label_map[top:bottom, left:right]
    return replace(samples[0], image=image, target=_joined(targets, label_map))


def mixup(sample: Sample, other: Sample) -> Sample:
    """Show two pictures at once, each at about half of its strength, with the objects of both.

    Zhang et al. 2018, "mixup", for detection as Zhang et al. 2019, "Bag of freebies", section 3.1; the share is drawn
    from Beta(8, 8). A label map would have two classes at a place, and is ignored.
    """
    other = _window(other, sample.target.image_size)
    share = float(torch.distributions.Beta(8.0, 8.0).sample())
    image = (share * sample.image + (1 - share) * other.image).round().to(torch.uint8)
    both = [sample.target, other.target]
    label_map = None if sample.target.label_map is None else torch.full_like(sample.target.label_map, IGNORE)
    return replace(sample, image=image, target=_joined(both, label_map))


def copy_paste(sample: Sample, other: Sample) -> Sample:
    """Paste a random half of another picture's objects by their masks (Ghiasi et al. 2021, section 3).

    What they cover of the objects below is no part of those any more: boxes shrink to what is seen, what is wholly
    covered goes, and keypoints below are hidden. Crowds are not pasted.
    """
    other = _window(other, sample.target.image_size)
    target = sample.target
    assert target.masks is not None and other.target.masks is not None, "the reader gives masks"  # noqa: PT018
    chosen = (torch.rand(len(other.target)) < 0.5) & ~other.target.crowd & other.target.masks.flatten(1).any(1)
    pasted = other.target[chosen]
    assert pasted.masks is not None
    over = pasted.masks.any(0)
    masks = target.masks & ~over
    left = masks.flatten(1).any(1)
    boxes = target.boxes.clone()
    covered = (masks != target.masks).flatten(1).any(1) & left
    boxes[covered] = boxes_of_masks(masks[covered])
    fields: dict[str, Any] = {"masks": masks, "boxes": boxes, "areas": None}
    if target.keypoints is not None and target.visibility is not None:
        fields["visibility"] = _hidden(target.keypoints, target.visibility, over)
    below = changed(target, **fields)[left]
    label_map = target.label_map
    if label_map is not None and other.target.label_map is not None:
        label_map = other.target.label_map.where(over, label_map)
    image = other.image.where(over, sample.image)
    return replace(sample, image=image, target=_joined([below, pasted], label_map, proposals=target.proposals))


def _hidden(keypoints: Tensor, visibility: Tensor, over: Tensor) -> Tensor:
    """Make keypoints that lie below what was pasted hidden ones."""
    height, width = over.shape
    x, y = keypoints.long().unbind(-1)
    below = over[y.clamp(0, height - 1), x.clamp(0, width - 1)] & (visibility > 0)
    return visibility.masked_fill(below, 1)


def turned(sample: Sample, angle: float, shear: float = 0.0) -> Sample:
    """Turn a picture clockwise about its centre by an angle in degrees, after a shear along x, at the same size.

    What comes in from outside has the mean colour, and is ignored in the label map. The box of an object with a mask is
    that of the turned mask, of any other the one around its turned corners. An object goes when less than a pixel of it
    is left; keypoints outside get visibility 0.
    """
    target = sample.target
    height, width = target.image_size
    centre, limit = torch.tensor([width / 2, height / 2]), torch.tensor([width, height])
    move = _matrix(angle, shear)

    def warped(values: Tensor, fill: Any, how: InterpolationMode) -> Tensor:
        moved: Tensor = v2.functional.affine(values, angle, [0, 0], 1.0, [shear, 0.0], how, fill)
        return moved

    def points(places: Tensor) -> Tensor:
        return (places - centre) @ move.T + centre

    def around(boxes: Tensor) -> Tensor:
        corners = points(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].view(-1, 4, 2))
        return torch.cat([corners.amin(1).clamp(min=0), corners.amax(1).minimum(limit)], 1)

    boxes = around(target.boxes)
    keep = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
    fields: dict[str, Any] = {"areas": None}
    if target.masks is not None:
        had_pixels = target.masks.flatten(1).any(1)
        masks = warped(target.masks.to(torch.uint8), 0, InterpolationMode.NEAREST).bool()
        seen = masks.flatten(1).any(1)
        boxes[seen] = boxes_of_masks(masks[seen])
        keep = (keep | seen) & (seen | ~had_pixels)
        fields["masks"] = masks
    if target.keypoints is not None and target.visibility is not None:
        moved = points(target.keypoints)
        visibility = target.visibility.masked_fill(((moved < 0) | (moved > limit)).any(-1), 0)
        fields |= {"keypoints": moved.masked_fill((visibility == 0)[..., None], 0), "visibility": visibility}
    if target.label_map is not None:
        from_below = warped(target.label_map[None].float(), float(IGNORE), InterpolationMode.NEAREST)
        fields["label_map"] = from_below[0].long()
    if target.proposals is not None:
        proposals = around(target.proposals)
        fields["proposals"] = proposals[((proposals[:, 2:] - proposals[:, :2]) >= 1).all(1)]
    mean = torch.tensor(MEAN_COLOUR)[:, None, None]
    image = warped(sample.image - mean.float(), None, InterpolationMode.BILINEAR) + mean  # else borders become dark
    image = image.round().clamp(0, 255).to(torch.uint8)
    return replace(sample, image=image, target=changed(target, boxes=boxes, **fields)[keep])


def _matrix(angle: float, shear: float) -> Float[Tensor, "2 2"]:
    """Compute where a place relative to the centre comes to lie, as `v2.functional.affine` moves pixels."""
    turn, lean = math.radians(angle), math.tan(math.radians(shear))
    cos, sin = math.cos(turn), math.sin(turn)
    return torch.tensor([[cos, -cos * lean - sin], [sin, -sin * lean + cos]])


def _window(sample: Sample, size: tuple[int, int]) -> Sample:
    """Cut a window of `size` at a random place; a smaller picture is padded to it."""
    own = sample.target.image_size
    sample = pad(sample, (max(own[0], size[0]), max(own[1], size[1])))
    own = sample.target.image_size
    top, left = (int(torch.randint(whole - part + 1, ())) for whole, part in zip(own, size, strict=True))
    return resized_crop(sample, (top, left, *size), size)


def _joined(targets: Sequence[Target], label_map: Tensor | None, proposals: Tensor | None = None) -> Target:
    """Put the objects of several targets of one size together, those of the first one first."""

    def joined(name: str) -> Tensor | None:
        values = [getattr(target, name) for target in targets]
        return None if any(value is None for value in values) else torch.cat(values)

    names = ("boxes", "labels", "masks", "keypoints", "visibility", "crowd", "difficult", "proposals")
    fields = {name: joined(name) for name in names}
    if proposals is not None:
        fields["proposals"] = proposals
    return changed(targets[0], **fields, areas=None, label_map=label_map)
