"""The five ways to make a feature map larger, as functions; `N` is one or more spatial dimensions.

Each takes a map `(B, C, *in)` and gives `(B, C, *out)` where the picture's first pixel stays first.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F


def nearest(x: Float[Tensor, "b c *n"], factor: int) -> Float[Tensor, "b c *m"]:
    """Repeat every value `factor` times in each direction."""
    return F.interpolate(x, scale_factor=factor, mode="nearest")


def bilinear(x: Float[Tensor, "b c *n"], factor: int, *, align_corners: bool = False) -> Float[Tensor, "b c *m"]:
    """Interpolate linearly between pixel centres, over one or two spatial dimensions.

    With `align_corners` the outermost centres lie upon each other, and all others that little closer.
    """
    mode = "linear" if x.ndim == 3 else "bilinear"
    return F.interpolate(x, scale_factor=factor, mode=mode, align_corners=align_corners)


def bed_of_nails(x: Float[Tensor, "b c *n"], factor: int) -> Float[Tensor, "b c *m"]:
    """Put every value at the first corner of a `factor`-sized cell of zeros."""
    nails = x.new_zeros(*x.shape[:2], *(size * factor for size in x.shape[2:]))
    corners = [slice(None, None, factor) for _ in x.shape[2:]]
    nails[(slice(None), slice(None), *corners)] = x
    return nails


def max_unpool(
    x: Float[Tensor, "b c *n"], indices: Int64[Tensor, "b c *n"], size: Sequence[int]
) -> Float[Tensor, "b c *m"]:
    """Put every value where the maximum of its pooling came from, zeros elsewhere (Zeiler & Fergus 2014, section 2.1).

    `indices` are those of `max_pool(..., return_indices=True)` over a map of spatial `size`.
    """
    empty = x.new_zeros(*x.shape[:2], math.prod(size))
    return empty.scatter(2, indices.flatten(2), x.flatten(2)).view(*x.shape[:2], *size)


def transposed(
    x: Float[Tensor, "b c *n"], weight: Float[Tensor, "c d *k"], factor: int, padding: int = 0
) -> Float[Tensor, "b d *m"]:
    """Add a copy of the kernel, scaled by the value, at every `factor`-th place; overlaps are summed."""
    if x.ndim == 3:
        return F.conv_transpose1d(x, weight, stride=factor, padding=padding)
    return F.conv_transpose2d(x, weight, stride=factor, padding=padding)


def bilinear_kernel(factor: int) -> Float[Tensor, "k k"]:
    """Make the kernel `(2f, 2f)` with which a transposed convolution of stride f and padding f/2 is bilinear.

    Long et al. 2015, FCN, section 3.3. Exact away from the borders for even factors.
    """
    centre = factor - 0.5
    tent = 1 - (torch.arange(2 * factor) - centre).abs() / factor
    return tent[:, None] * tent[None, :]
