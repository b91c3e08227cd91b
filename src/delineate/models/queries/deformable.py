"""Deformable attention: a query looks at a few points of each level, which it places itself around its box.

B  pictures    Q  queries    H  heads    P  points of a head, those of one level after those of another    D  width
S  places of all levels: level by level, row by row

Zhu et al. 2021, "Deformable DETR", section 4.1. What lies between places is their bilinear mean; `discrete` takes the
nearest place instead, which any runtime can gather (Lv et al. 2024, RT-DETRv2).
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

Sampling = Literal["bilinear", "discrete"]
REACH = 0.5
"""An offset of 1 is half a box for the nearest of all points, as long as there is one point a level."""


class Memory(NamedTuple):
    """The encoder leaves these features, and the `(rows, columns)` of each level."""

    values: Float[Tensor, "b s d"]
    grids: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, levels: Sequence[Float[Tensor, "b d _h _w"]]) -> "Memory":
        """Put the maps of all levels one after another."""
        values = torch.cat([level.flatten(2) for level in levels], 2).transpose(1, 2)
        return cls(values, tuple((level.shape[-2], level.shape[-1]) for level in levels))


class DeformableAttention(nn.Module):
    """The attention has `num_points[i]` points for each head at level `i`; its weights come from the query alone.

    Where it is not `projected`, values are looked at as the encoder leaves them (D-FINE).
    """

    reach: Tensor

    def __init__(
        self, width: int, num_heads: int, *, num_points: Sequence[int], sampling: Sampling, projected: bool
    ) -> None:
        super().__init__()
        self.num_heads, self.num_points, self.sampling = num_heads, tuple(num_points), sampling
        self.offset = nn.Linear(width, num_heads * sum(num_points) * 2)
        self.weigh = nn.Linear(width, num_heads * sum(num_points))
        self.value: nn.Module = nn.Linear(width, width) if projected else nn.Identity()
        self.out: nn.Module = nn.Linear(width, width) if projected else nn.Identity()
        shares = [REACH / count for count in num_points for _ in range(count)]
        self.register_buffer("reach", torch.tensor(shares)[:, None], persistent=False)
        self._begin()

    def forward(
        self, query: Float[Tensor, "b q d"], boxes: Float[Tensor, "b q 4"], memory: Memory
    ) -> Float[Tensor, "b q d"]:
        """Look around `boxes`, `cx cy w h` as shares of the picture's sides."""
        points, weights = self.points(query, boxes)
        values = self.value(memory.values).float()
        values = values.view(*values.shape[:2], self.num_heads, -1)
        seen = look(values, memory.grids, points, weights, self.num_points, self.sampling)
        out: Tensor = self.out(seen.flatten(2).to(query))
        return out

    def points(
        self, query: Float[Tensor, "b q d"], boxes: Float[Tensor, "b q 4"]
    ) -> tuple[Float[Tensor, "b q h p 2"], Float[Tensor, "b q h p"]]:
        """Place the points `(x, y)` of each query, shares of the picture's sides, and weigh them, to 1 a head."""
        by_head = (*query.shape[:2], self.num_heads, sum(self.num_points))
        offsets = self.offset(query).float().view(*by_head, 2)
        weights = self.weigh(query).float().view(by_head).softmax(-1)
        around = boxes[:, :, None, None]
        return around[..., :2] + offsets * self.reach * around[..., 2:], weights

    def _begin(self) -> None:
        """Let each head look into a direction of its own, one point of a level farther than another."""
        angles = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        steps = torch.cat([torch.arange(1, count + 1) for count in self.num_points])
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)
        with torch.no_grad():
            self.offset.bias.copy_((directions[:, None] * steps[:, None]).flatten())
        for layer in (self.value, self.out):
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)


def look(
    values: Float[Tensor, "b s h c"],
    grids: Sequence[tuple[int, int]],
    points: Float[Tensor, "b q h p 2"],
    weights: Float[Tensor, "b q h p"],
    num_points: Sequence[int],
    sampling: Sampling,
) -> Float[Tensor, "b q h c"]:
    """Add up the weighted values at points `(x, y)`, shares of the picture's sides; beyond them there are zeros.

    Places are gathered row by row, and no operator is asked for that only some runtimes have. The sum is that of an
    embedding bag, which keeps no value for the gradient; what is exported gathers and adds.
    """
    per_point = [grid for grid, count in zip(grids, num_points, strict=True) for _ in range(count)]
    sides = points.new_tensor([[columns, rows] for rows, columns in per_point])
    if sampling == "discrete":
        places = [((points * sides + 0.5).floor(), weights)]
    else:
        places = _corners(points * sides - 0.5, sides, weights)
    rows = torch.cat([_rows(place, sides, grids, num_points, values) for place, _ in places], -1)
    shares = torch.cat([share for _, share in places], -1)
    flat = values.flatten(0, 2)
    if torch.compiler.is_exporting():
        return (shares[..., None, :] @ F.embedding(rows, flat)).squeeze(-2)
    bags = F.embedding_bag(rows.flatten(0, 2), flat, per_sample_weights=shares.flatten(0, 2), mode="sum")
    return bags.view(*rows.shape[:3], -1)


def _corners(
    at: Float[Tensor, "b q h p 2"], sides: Float[Tensor, "p 2"], weights: Float[Tensor, "b q h p"]
) -> list[tuple[Tensor, Tensor]]:
    """List the four places around each point, and how much of each there is."""
    low = at.floor()
    share = at - low
    found = []
    for right, below in ((0, 0), (1, 0), (0, 1), (1, 1)):
        place = low + low.new_tensor([right, below])
        across = share[..., 0] if right else 1 - share[..., 0]
        down = share[..., 1] if below else 1 - share[..., 1]
        inside = ((place >= 0) & (place < sides)).all(-1)
        found.append((place, weights * across * down * inside))
    return found


def _rows(
    place: Float[Tensor, "b q h p 2"],
    sides: Float[Tensor, "p 2"],
    grids: Sequence[tuple[int, int]],
    num_points: Sequence[int],
    values: Float[Tensor, "b s h c"],
) -> Int64[Tensor, "b q h p"]:
    """Find the rows of places `(x, y)`, or of the nearest on their level, in the flat values of all pictures."""
    num_pictures, num_places, num_heads, _ = values.shape
    firsts = [sum(rows * columns for rows, columns in grids[:level]) for level in range(len(grids))]
    first = torch.tensor([start for start, count in zip(firsts, num_points, strict=True) for _ in range(count)])
    x, y = place.minimum(sides - 1).clamp(min=0).long().unbind(-1)
    on_level = first.to(x.device) + y * sides[:, 0].long() + x
    picture = torch.arange(num_pictures, device=x.device)[:, None, None, None]
    head = torch.arange(num_heads, device=x.device)[:, None]
    return (picture * num_places + on_level) * num_heads + head
