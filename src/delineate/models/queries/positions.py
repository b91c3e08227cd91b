"""Sines and cosines of y, then of x, tell places of a picture apart (Carion et al. 2020, DETR, appendix A.4)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def sines(points: Float[Tensor, "n 2"], width: int) -> Float[Tensor, "n d"]:
    """Take sines and cosines of `(y, x)`, shares of the picture's sides; wavelengths rise from channel to channel."""
    half = width // 2
    wavelengths = 10000 ** (2 * (torch.arange(half, device=points.device) // 2) / half)
    angles = points[..., None] * 2 * math.pi / wavelengths
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], 3).flatten(1)


def sine_places(grid: Sequence[int], width: int) -> Float[Tensor, "s d"]:
    """Take those of the places of a `(rows, columns)` grid over a picture, each at its far side, row by row."""
    y, x = (torch.arange(1, side + 1) / (side + 1e-6) for side in grid)
    return sines(torch.cartesian_prod(y, x), width)
