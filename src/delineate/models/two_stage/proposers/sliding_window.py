"""Windows have every place, size and shape: proposals save looking at so many."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.ops import clip_boxes_to_image

from delineate.ops.anchors import base_anchors, grid_anchors

INSIDE = 0.5
"""At least this share of a window lies in the picture."""


@dataclass(frozen=True, kw_only=True)
class SlidingWindow:
    """Windows have every `scale` (side in pixels, the root of the area) and aspect ratio (height / width).

    They move by the share `step` of their sides, and are cut at the borders. None is likelier than another.
    """

    scales: Sequence[float]
    aspect_ratios: Sequence[float]
    step: float = 0.25

    @property
    def settings(self) -> str:
        return f"sliding_window {self.scales} {self.aspect_ratios} {self.step}"

    @property
    def kept(self) -> bool:
        """Windows are made for the size that the network sees."""
        return False

    def boxes(self, image: UInt8[Tensor, "3 h w"]) -> Float[Tensor, "p 4"]:
        """Make the windows of a picture, of which its size alone matters."""
        return self.windows((image.shape[-2], image.shape[-1]))

    def windows(self, image_size: tuple[int, int]) -> Float[Tensor, "n 4"]:
        """Make the windows of a picture of `(height, width)`."""
        height, width = image_size
        windows = []
        for base in base_anchors(self.scales, self.aspect_ratios):
            stride_x, stride_y = (max(1.0, self.step * float(side)) for side in base[2:] - base[:2])
            grid = int(height // stride_y) + 1, int(width // stride_x) + 1
            windows.append(grid_anchors(base[None], grid, (stride_y, stride_x)))
        whole = torch.cat(windows)
        clipped: Tensor = clip_boxes_to_image(whole, image_size)
        return clipped[_areas(clipped) >= INSIDE * _areas(whole)]


def _areas(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, " n"]:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)
