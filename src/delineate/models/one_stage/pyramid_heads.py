"""RetinaNet and FCOS look at every place of a pyramid's levels with the same heads, and read them alike.

B  pictures    C  classes    n  boxes of a level, row by row    N  boxes of all levels    M  candidates of a level
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.contract import Raw, Rows
from delineate.models.rows import BoxReader
from delineate.nn.blocks import initialise
from delineate.ops.nms import NONE, select

DEPTH, STD, PRIOR = 4, 0.01, 0.01
"""A head has so many convolutions before the last; at first each place holds an object with a probability of `PRIOR`
(Lin et al. 2017, RetinaNet, section 4.1)."""
GROUP = 8
"""So many channels are normalised together, as 256 in 32 groups are."""


@dataclass(frozen=True, kw_only=True)
class LevelReader(BoxReader[Raw]):
    """Of each level the best pairs of a box and a class go through NMS, class by class."""

    @abstractmethod
    def levels(self, raw: Raw) -> list[tuple[Float[Tensor, "b _n c"], Float[Tensor, "b _n 4"]]]:
        """Compute the scores and the boxes of each level."""

    def candidates(self, raw: Raw, size: tuple[int, int]) -> tuple[Float[Tensor, "b c m"], Float[Tensor, "b 1 m 4"]]:
        chosen = [best_pairs(*level, self.thresholds.max_candidates) for level in self.levels(raw)]
        scores, boxes = (torch.cat(parts, -2) for parts in zip(*chosen, strict=True))
        return scores.transpose(1, 2), boxes[:, None]

    def find(self, raw: Raw, size: tuple[int, int]) -> Rows:
        all_of_them = replace(self.thresholds, max_candidates=None)  # they were chosen level by level
        return Rows(*select(*self.candidates(raw, size), size, **vars(all_of_them)))


def best_pairs(
    scores: Float[Tensor, "b n c"], boxes: Float[Tensor, "b n 4"], count: int | None
) -> tuple[Float[Tensor, "b m c"], Float[Tensor, "b m 4"]]:
    """Choose the `count` best pairs of a box and a class, or all: in a row, every class but one scores `NONE`."""
    if count is None:
        return scores, boxes
    num_classes = scores.shape[-1]
    highest, order = F.pad(scores.flatten(1), (0, count), value=NONE).topk(count)
    rows, labels = order // num_classes, order % num_classes
    boxes = F.pad(boxes, (0, 0, 0, count)).gather(1, rows[..., None].expand(-1, -1, 4))
    of_class = labels[..., None] == torch.arange(num_classes, device=labels.device)
    return highest[..., None].where(of_class, NONE), boxes


def tower(channels: int, *, group_norm: bool) -> nn.Sequential:
    """Build the convolutions before the last one of a head."""
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        conv = nn.Conv2d(channels, channels, 3, padding=1)
        norm = [nn.GroupNorm(math.gcd(channels // GROUP or 1, channels), channels)] if group_norm else []
        layers += [conv, *norm, nn.ReLU(inplace=True)]
    made = nn.Sequential(*layers)
    initialise([layer for layer in made if isinstance(layer, nn.Conv2d)], partial(nn.init.normal_, std=STD))
    return made


def last(channels: int, outputs: int, *, prior: float = 0.5) -> nn.Conv2d:
    """Build the last convolution of a head, whose sigmoids are `prior` at first."""
    conv = nn.Conv2d(channels, outputs, 3, padding=1)
    initialise((conv,), partial(nn.init.normal_, std=STD))
    nn.init.constant_(conv.bias, math.log(prior / (1 - prior)))  # type: ignore[arg-type]
    return conv


def by_box(x: Float[Tensor, "b _ak h w"], values: int) -> Float[Tensor, "b _n k"]:
    """Part a map into the `values` of each box: channels hold box after box of a place."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)


def grids(levels: Sequence[Tensor], finest_stride: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Give the `(rows, columns)` of each level, and the strides that it has in the padded picture (`Pyramid`)."""
    height, width = (side * finest_stride for side in levels[0].shape[-2:])  # those of the finest level are exact
    sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
    return [((rows, columns), (height // rows, width // columns)) for rows, columns in sizes]
