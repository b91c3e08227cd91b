"""Queries are learned, as in DETR, or stand on a grid over the picture, as in Anchor DETR.

B  pictures    Q  queries    D  width

Of pictures that are padded, `filled` says how many rows and columns of the map each fills.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.queries.positions import sines
from delineate.values import InputError


class Queries(NamedTuple):
    """Queries begin with what they know, `None` for nothing, and with what stands for their places."""

    content: Float[Tensor, "b q d"] | None
    places: Float[Tensor, "#b q d"]


class LearnedQueries(nn.Module):
    """The queries know nothing and learn what to look for (Carion et al. 2020, DETR, section 3.2).

    All begin with a box in the middle, of half the picture's sides.
    """

    boxes: Tensor

    def __init__(self, num_queries: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_queries, width))
        self.register_buffer("boxes", torch.zeros(num_queries, 4), persistent=False)

    def forward(self, memory: Float[Tensor, "b d h w"], filled: Float[Tensor, "b 2"] | None = None) -> Queries:
        return Queries(None, self.weight[None])


class PlacedQueries(nn.Module):
    """The queries stand on a grid over the picture (Wang et al. 2022, Anchor DETR, "Anchor points").

    Each begins with the features of that place (Yao et al. 2021, Efficient DETR), and with a box as large as a cell of
    the grid. `boxes` are the logits of those, `cx cy w h` as shares of the picture's sides. Anchor DETR's
    patterns, several queries at a place, are left out. Raises `InputError` for less than two queries a side.
    """

    boxes: Tensor

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        if side < 2:
            raise InputError(f"query_side: {side} is too small; give 2 or more")
        self.width = width
        middles = (torch.arange(side) + 0.5) / side
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        boxes = torch.stack([x, y, torch.full_like(x, 1 / side), torch.full_like(x, 1 / side)], 2).flatten(0, 1)
        self.register_buffer("boxes", boxes.logit(), persistent=False)

    def forward(self, memory: Float[Tensor, "b d h w"], filled: Float[Tensor, "b 2"] | None = None) -> Queries:
        x, y = self.boxes[:, :2].sigmoid().unbind(1)
        height, width = memory.shape[-2:]
        rows, columns = (height, width) if filled is None else filled.t()[..., None]
        seen = torch.stack([x * (columns / width), y * (rows / height)], -1)
        grid = (2 * seen - 1).expand(memory.shape[0], -1, -1)[:, None]
        content = F.grid_sample(memory.float(), grid, align_corners=False)[:, :, 0].transpose(1, 2).to(memory)
        # memory's places are told apart by their far sides
        points = torch.stack([y + 0.5 / rows, x + 0.5 / columns], -1)
        return Queries(content, sines(points, self.width).to(memory).view(-1, *self.boxes.shape[:1], self.width))
