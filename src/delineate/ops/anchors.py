"""Boxes at every place of a feature map."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def base_anchors(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> Float[Tensor, "a 4"]:
    """Boxes around the origin, rounded to whole pixels: for each aspect ratio (height / width) every size, in order.

    A size is the square root of the area, in pixels (Ren et al. 2015, Faster R-CNN, section 3.1.1).
    """
    heights = torch.tensor(aspect_ratios, dtype=torch.float32).sqrt()
    scale = torch.tensor(sizes, dtype=torch.float32)
    height = (heights[:, None] * scale).flatten()
    width = ((1 / heights)[:, None] * scale).flatten()
    return (torch.stack([-width, -height, width, height], 1) / 2).round()


def default_boxes(
    sizes: Float[Tensor, "a 2"], grid: tuple[int, int], stride: tuple[float, float]
) -> Float[Tensor, "n 4"]:
    """Boxes of all `(width, height)` around the centre of every cell of the grid, ordered as `grid_anchors` are.

    Liu et al. 2016, SSD, section 2.2.
    """
    cell = sizes.new_tensor([stride[1], stride[0]])
    return grid_anchors(torch.cat([cell - sizes, cell + sizes], 1) / 2, grid, stride)


def grid_anchors(
    base: Float[Tensor, "a 4"], grid: tuple[int, int], stride: tuple[float, float]
) -> Float[Tensor, "n 4"]:
    """The base anchors moved to every cell of a `(rows, columns)` grid of `(y, x)` stride; rows first, anchors last."""
    y = torch.arange(grid[0], dtype=torch.float32, device=base.device) * stride[0]
    x = torch.arange(grid[1], dtype=torch.float32, device=base.device) * stride[1]
    y, x = torch.meshgrid(y, x, indexing="ij")
    places = torch.stack([x, y, x, y], -1).view(-1, 1, 4)
    return (places + base).view(-1, 4)
