"""What a loss sees of a picture's target: plain tensors on the device of the pictures, not checked again."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.values.target import Target


class Truth(NamedTuple):
    """The objects of one picture that are learned, and apart from them what is neither object nor background.

    `ignored` are the boxes of crowds and of difficult objects. Coordinates are those of the network's input.
    """

    image_size: tuple[int, int]
    boxes: Float[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    ignored: Float[Tensor, "m 4"]
    masks: Bool[Tensor, "n h w"] | None = None
    keypoints: Float[Tensor, "n k 2"] | None = None
    visibility: Int64[Tensor, "n k"] | None = None
    label_map: Int64[Tensor, "h w"] | None = None

    @classmethod
    def of(cls, target: Target, device: torch.device | str = "cpu") -> "Truth":
        """The truth of a target, on a device."""
        ignored = target.ignored
        objects = target[~ignored] if bool(ignored.any()) else target

        def there(value: Tensor | None) -> Tensor | None:
            return None if value is None else value.to(device, non_blocking=True)

        return cls(
            image_size=target.image_size,
            boxes=objects.boxes.to(device, non_blocking=True),
            labels=objects.labels.to(device, non_blocking=True),
            ignored=target.boxes[ignored].to(device, non_blocking=True),
            masks=there(objects.masks),
            keypoints=there(objects.keypoints),
            visibility=there(objects.visibility),
            label_map=there(target.label_map),
        )

    def largest(self) -> Int64[Tensor, " r"]:
        """The row of the object with the largest box; none where there are no objects."""
        areas = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(1)
        return areas.argsort(descending=True, stable=True)[:1]


def truths_of(targets: Sequence[Target], device: torch.device | str = "cpu") -> list[Truth]:
    """The truths of a batch."""
    return [Truth.of(target, device) for target in targets]
