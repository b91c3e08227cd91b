"""Queries are the places of the encoder's memory that are likeliest to be an object.

B  pictures    S  places of all levels    Q  queries    C  classes    D  width

Zhao et al. 2024, RT-DETR, section 4.3: classes learn how well their boxes fit, so that what is chosen is likely and
fits.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.queries.deformable import Memory

SIDE = 0.05
"""At first a box has this share of the picture's sides on the finest level, twice as much on the next."""
BORDER = 0.01
"""A place whose first box lies so near to a border is left out."""
FAR = 1e4
"""As a logit it is 1, wherever a box moves."""
PRIOR = 0.01
"""At first each query has an object of each class with this probability (Lin et al. 2017, RetinaNet, section 4.1)."""


class MLP(nn.Module):
    """Linear layers follow each other, with a ReLU between two."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out

    def begin_with_zeros(self) -> "MLP":
        """Let it say 0 until it has learned something."""
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return self


class Selected(NamedTuple):
    """The queries begin with what their places know, and say a class and a box (logits) of themselves."""

    content: Float[Tensor, "b q d"]
    logits: Float[Tensor, "b q c"]
    boxes: Float[Tensor, "b q 4"]


class Selection(nn.Module):
    """Each place of the memory says which class it holds and where, and the likeliest `num_queries` go on."""

    def __init__(self, width: int, num_classes: int, num_queries: int) -> None:
        super().__init__()
        self.num_queries = num_queries
        self.prepare = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.classify = class_layer(width, num_classes)
        self.regress = MLP(width, width, width, 4).begin_with_zeros()

    def forward(self, memory: Memory) -> Selected:
        boxes, inside = first_boxes(memory.grids, memory.values.device)
        content = self.prepare(memory.values * inside)
        logits = self.classify(content).float()
        boxes = self.regress(content).float() + boxes
        count = min(self.num_queries, content.shape[1])
        rows = logits.amax(-1).topk(count, 1).indices[..., None]
        chosen = (value.gather(1, rows.expand(-1, -1, value.shape[-1])) for value in (content, logits, boxes))
        return Selected(*chosen)


def first_boxes(
    grids: Sequence[tuple[int, int]], device: torch.device
) -> tuple[Float[Tensor, "s 4"], Float[Tensor, "s 1"]]:
    """Give the logits of a box in the middle of each place, `cx cy w h`, and 1 where it is not at a border, else 0."""
    levels = []
    for level, (rows, columns) in enumerate(grids):
        y, x = ((torch.arange(side, device=device) + 0.5) / side for side in (rows, columns))
        side = torch.full((rows, columns), SIDE * 2**level, device=device)
        at = (x.expand(rows, columns), y[:, None].expand(rows, columns), side, side)
        levels.append(torch.stack(at, -1).flatten(0, 1))
    boxes = torch.cat(levels)
    inside = ((boxes > BORDER) & (boxes < 1 - BORDER)).all(-1, keepdim=True)
    return boxes.logit().where(inside, FAR), inside.float()


def class_layer(width: int, num_classes: int) -> nn.Linear:
    """Build the layer of class logits, whose sigmoids are `PRIOR` at first."""
    layer = nn.Linear(width, num_classes)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.constant_(layer.bias, math.log(PRIOR / (1 - PRIOR)))
    return layer
