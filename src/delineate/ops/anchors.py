"""Anchors: boxes at every place of a feature map, and shapes for them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

NUM_STARTS, MOST_ROUNDS = 8, 300


def base_anchors(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> Float[Tensor, "a 4"]:
    """Make boxes around the origin, rounded to whole pixels: for each aspect ratio (height / width) every size.

    A size is the square root of the area, in pixels (Ren et al. 2015, Faster R-CNN, section 3.1.1).
    """
    heights = torch.tensor(aspect_ratios, dtype=torch.float32).sqrt()
    scale = torch.tensor(sizes, dtype=torch.float32)
    height = (heights[:, None] * scale).flatten()
    width = ((1 / heights)[:, None] * scale).flatten()
    return (torch.stack([-width, -height, width, height], 1) / 2).round()


def default_boxes(
    sizes: Float[Tensor, "a 2"], grid: tuple[int, int], stride: tuple[float | int, float | int]
) -> Float[Tensor, "n 4"]:
    """Put boxes of all `(width, height)` around the centre of every cell of the grid, ordered as `grid_anchors` are.

    Liu et al. 2016, SSD, section 2.2.
    """
    cell = sizes.new_tensor([stride[1], stride[0]])
    return grid_anchors(torch.cat([cell - sizes, cell + sizes], 1) / 2, grid, stride)


def grid_anchors(
    base: Float[Tensor, "a 4"], grid: tuple[int, int], stride: tuple[float | int, float | int]
) -> Float[Tensor, "n 4"]:
    """Move the base anchors to every cell of a `(rows, columns)` grid of `(y, x)` stride; rows first, anchors last."""
    y = torch.arange(grid[0], dtype=torch.float32, device=base.device) * stride[0]
    x = torch.arange(grid[1], dtype=torch.float32, device=base.device) * stride[1]
    y, x = torch.meshgrid(y, x, indexing="ij")
    places = torch.stack([x, y, x, y], -1).view(-1, 1, 4)
    return (places + base).view(-1, 4)


def shape_iou(sizes: Float[Tensor, "n 2"], others: Float[Tensor, "m 2"]) -> Float[Tensor, "n m"]:
    """Measure the IoU of boxes of all `(width, height)` around one centre."""
    shared = torch.minimum(sizes[:, None], others).prod(2)
    return shared / (sizes.prod(1)[:, None] + others.prod(1) - shared)


def cluster_shapes(sizes: Float[Tensor, "n 2"], count: int, *, seed: int = 0) -> Float[Tensor, "k 2"]:
    """Choose `count` shapes `(width, height)` for boxes of these sizes: k-means by `1 - IoU`, small to large.

    Of several starts with shapes that are far apart (Arthur & Vassilvitskii 2007, k-means++) the one with the highest
    mean IoU counts. Raises `ValueError` where there are fewer different sizes than shapes. Redmon & Farhadi 2017,
    YOLO9000, section 2, "Dimension Clusters".
    """
    num_different = len(torch.unique(sizes, dim=0))
    if num_different < count:
        raise ValueError(f"{num_different} different sizes cannot make {count} shapes")
    generator = torch.Generator().manual_seed(seed)
    candidates = [_cluster(sizes, count, generator) for _ in range(NUM_STARTS)]
    return max(candidates, key=lambda shapes: float(shape_iou(sizes, shapes).amax(1).mean()))


def _cluster(sizes: Float[Tensor, "n 2"], count: int, generator: torch.Generator) -> Float[Tensor, "k 2"]:
    shapes = sizes[torch.randint(len(sizes), (1,), generator=generator)]
    while len(shapes) < count:
        distances = (1 - shape_iou(sizes, shapes).amax(1)).clamp(min=0).square()
        shapes = torch.cat([shapes, sizes[torch.multinomial(distances, 1, generator=generator)]])
    nearest = torch.full((len(sizes),), -1)
    for _ in range(MOST_ROUNDS):  # the mean is not the best shape by IoU, so that rounds may go in a circle
        before, nearest = nearest, shape_iou(sizes, shapes).argmax(1)
        if torch.equal(before, nearest):
            break
        members = nearest == torch.arange(count)[:, None]
        shapes = torch.stack(
            [sizes[mine].mean(0) if mine.any() else shape for mine, shape in zip(members, shapes, strict=True)]
        )
    return shapes[shapes.prod(1).argsort()]
