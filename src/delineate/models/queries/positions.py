"""Sines and cosines of y, then of x, tell places of a picture apart (Carion et al. 2020, DETR, appendix A.4)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def sines(points: Float[Tensor, "*n 2"], width: int) -> Float[Tensor, "*n d"]:
    """Take sines and cosines of `(y, x)`, shares of the picture's sides; wavelengths rise from channel to channel."""
    half = width // 2
    wavelengths = 10000 ** (2 * (torch.arange(half, device=points.device) // 2) / half)
    angles = points[..., None] * 2 * math.pi / wavelengths
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], -1).flatten(-3)


def sine_places(grid: Sequence[int], width: int, filled: Float[Tensor, "b 2"] | None = None) -> Float[Tensor, "*b s d"]:
    """Take those of the places of a `(rows, columns)` grid over a picture, each at its far side, row by row.

    Pictures that are padded fill but the first rows and columns, as many as `filled` says; each has a grid of its own.
    """
    ends = grid if filled is None else filled.t()[..., None]
    rows, columns = (
        torch.arange(1, side + 1, device=None if filled is None else filled.device) / (end + 1e-6)
        for side, end in zip(grid, ends, strict=True)
    )
    y = rows[..., :, None].expand(*rows.shape, grid[1])
    x = columns[..., None, :].expand(*rows.shape, grid[1])
    return sines(torch.stack([y, x], -1).flatten(-3, -2), width)


def sine_grid(grid: Sequence[int], width: int) -> Float[Tensor, "s d"]:
    """Take sines and cosines of the row, then of the column, of each place of a grid, row by row, a quarter each.

    Rows and columns are counted (Zhao et al. 2024, RT-DETR, as in its code).
    """
    speeds = 10000 ** -(torch.arange(width // 4) / (width // 4))
    rows, columns = (torch.arange(side)[:, None] * speeds for side in grid)
    down = torch.cat([rows.sin(), rows.cos()], 1)[:, None].expand(-1, grid[1], -1)
    across = torch.cat([columns.sin(), columns.cos()], 1)[None].expand(grid[0], -1, -1)
    return torch.cat([down, across], -1).flatten(0, 1)
