"""The regions of selective search have pixels: those of the segments that they were merged of."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from delineate.ops.search.selective_search import FAST, Tree, enlarged, shrunk, trees_of


class Searched(NamedTuple):
    """A picture of `(height, width)` was searched; rows of `boxes` are the regions of one tree after the other."""

    size: tuple[int, int]
    trees: Sequence[Tree]
    boxes: Float[Tensor, "n 4"]


def search_regions(image: UInt8[Tensor, "3 h w"]) -> Searched:
    """Search an RGB picture as `selective_search` does, and keep all regions, equal boxes of several trees, too."""
    rgb, size = shrunk(image).cpu().numpy(), (image.shape[1], image.shape[2])
    trees = trees_of(rgb, FAST)
    return Searched(size, trees, enlarged(np.concatenate([tree.boxes for tree in trees]), rgb.shape[1:], size))


def rows_at(searched: Searched, x: float, y: float) -> Int64[Tensor, " m"]:
    """Find the regions that a point of the picture belongs to, those of each tree from its segment on."""
    rows, begin = [], 0
    for tree in searched.trees:
        height, width = tree.labels.shape
        row = min(int(y * height / searched.size[0]), height - 1)
        column = min(int(x * width / searched.size[1]), width - 1)
        whole = np.full(len(tree.boxes), -1)
        merged = np.arange(len(tree.boxes) // 2 + 1, len(tree.boxes))
        whole[tree.halves[merged]] = merged[:, None]
        region = int(tree.labels[row, column])
        while region >= 0:
            rows.append(begin + region)
            region = int(whole[region])
        begin += len(tree.boxes)
    return torch.tensor(rows)


def region_mask(searched: Searched, row: int) -> Bool[Tensor, "h w"]:
    """Give the pixels of the region of a row, in the picture."""
    for tree in searched.trees:
        if row < len(tree.boxes):
            break
        row -= len(tree.boxes)
    is_in, open_ones = np.zeros(len(tree.boxes), np.bool_), [row]
    while open_ones:
        region = open_ones.pop()
        is_in[region] = True
        open_ones += [int(half) for half in tree.halves[region] if half >= 0]
    (height, width), size = tree.labels.shape, searched.size
    rows = ((np.arange(size[0]) + 0.5) * height / size[0]).astype(np.int64)
    columns = ((np.arange(size[1]) + 0.5) * width / size[1]).astype(np.int64)
    return torch.from_numpy(is_in[tree.labels][rows[:, None], columns])
