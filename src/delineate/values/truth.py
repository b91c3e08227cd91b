"""A truth: what a loss sees of a picture's target, plain tensors on the device of the pictures, not checked again."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.values.target import Target


class Truth(NamedTuple):
    """The objects of one picture that are learned, and apart from them what is neither object nor background.

    `ignored` are the boxes of crowds and of difficult objects. Coordinates are those of the network's input, which is
    larger than `image_size` where a batch pads the picture at the right and the bottom.
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
    def of(cls, target: Target) -> "Truth":
        """Set what is ignored in a target apart from its objects."""
        ignored = target.ignored
        objects = target[~ignored]
        return cls(
            image_size=target.image_size,
            boxes=objects.boxes,
            labels=objects.labels,
            ignored=target.boxes[ignored],
            masks=objects.masks,
            keypoints=objects.keypoints,
            visibility=objects.visibility,
            label_map=target.label_map,
        )

    def to(self, device: torch.device | str) -> "Truth":
        """Copy it to a device; copies from pinned memory do not wait."""
        moved: Any = {
            name: value.to(device, non_blocking=True)
            for name, value in self._asdict().items()
            if isinstance(value, Tensor)
        }
        return self._replace(**moved)

    def largest(self) -> Int64[Tensor, " r"]:
        """Find the row of the object with the largest box; none where there are no objects."""
        areas = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(1)
        return areas.argsort(descending=True, stable=True)[:1]


def truths_of(targets: Sequence[Target], device: torch.device | str = "cpu") -> list[Truth]:
    """Make the truths of a batch, on the device of its pictures."""
    return [Truth.of(target).to(device) for target in targets]
