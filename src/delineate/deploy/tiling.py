"""Pictures larger than memory, or than anything trained on, are cut into overlapping tiles whose scores are blended.

rows of tiles, top to bottom; tiles of a row left to right

┌──────┬─┬──────┐   scores (C, tile height, W) hold one row of tiles. Before the next row is added,
│      │ │      │   the rows above it are finished: their best class is taken, and the rest moves up.
├──────┼─┼──────┤   Where tiles overlap their weights taper linearly. A pixel's weights need not sum
├──────┼─┼──────┤   to one: its best class is the same whatever their sum.
"""

from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from delineate.models.contract import Scores
from delineate.system.system import System
from delineate.values import InputError, LabelMap


@torch.inference_mode()
def segment_tiled(
    system: System,
    image: UInt8[Tensor, "3 h w"],
    *,
    tile: tuple[int, int],
    overlap: int,
    batch_size: int = 1,
) -> LabelMap:
    """Give the label map of a picture, from tiles of `(height, width)` that overlap by at least `overlap` pixels.

    Each tile is treated as a picture of its own: resized as the system says, and its scores resized back. Memory for
    scores is that of one row of tiles. Raises `InputError` when the overlap is not smaller than the tile.
    """
    height, width = image.shape[-2:]
    tops, lefts = starts(height, tile[0], overlap), starts(width, tile[1], overlap)
    tile = min(tile[0], height), min(tile[1], width)
    weights = (taper(tile[0], overlap)[:, None] * taper(tile[1], overlap)).to(system.device)
    scores = torch.zeros(len(system.categories.label_map_names), tile[0], width, device=system.device)
    label_map = torch.empty(height, width, dtype=torch.int64)
    for top, below in pairwise([*tops, height]):
        for first in range(0, len(lefts), batch_size):
            columns = lefts[first : first + batch_size]
            tiles = [image[:, top : top + tile[0], left : left + tile[1]] for left in columns]
            for left, logits in zip(columns, _logits(system, tiles), strict=True):
                scores[..., left : left + tile[1]] += weights * logits
        finished = below - top
        label_map[top:below] = scores[:, :finished].argmax(0).cpu()
        scores = F.pad(scores[:, finished:], (0, 0, 0, finished))
    return LabelMap(label_map=label_map)


def starts(size: int, tile: int, overlap: int) -> list[int]:
    """Say where tiles begin: as few as cover `size` overlapping by `overlap` or more, evenly spread to the border."""
    if not 0 <= overlap < tile:
        raise InputError(f"overlap: {overlap} is not between 0 and the tile's {tile} pixels")
    if size <= tile:
        return [0]
    num_steps = -(-(size - tile) // (tile - overlap))
    return [round(step * (size - tile) / num_steps) for step in range(num_steps + 1)]


def taper(size: int, overlap: int) -> Float[Tensor, " {size}"]:
    """Give weights that rise from both borders over `overlap` pixels to 1, and are never 0."""
    from_border = torch.arange(1, size + 1).minimum(torch.arange(size, 0, -1))
    return (from_border / (overlap + 1)).clamp(max=1)


def _logits(system: System, tiles: list[Tensor]) -> Float[Tensor, "b c h w"]:
    scores = system.find(system.inputs(torch.stack([system.preprocess.resize(tile) for tile in tiles])))
    assert isinstance(scores, Scores)
    size = tiles[0].shape[-2:]
    if scores.logits.shape[-2:] == size:
        return scores.logits.float()
    return F.interpolate(scores.logits.float(), size=size, mode="bilinear", align_corners=False)
