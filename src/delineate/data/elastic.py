"""Pictures and their label maps are bent at random: tissue is soft, and one picture shows it in many ways.

Ronneberger, Fischer, Brox 2015, "U-Net", section 3.1: random displacements on a coarse grid, bicubic in between.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from delineate.values import Sample, Target

GRID = 3
"""Displacements are drawn at so many points a side; those of the first and the last are the picture's corners."""


def bent(sample: Sample, deviation: float) -> Sample:
    """Move the pixels of a picture and of its label map by a smooth random field; torch's randomness decides.

    `deviation` is the standard deviation of the displacements as a share of the sides; the paper's are 10 of 512
    pixels. What comes from outside is the picture mirrored. Objects are left out: a box of what was bent is not known
    from the box.
    """
    target = sample.target
    grid = sampling_grid(deviation * torch.randn(2, GRID, GRID), target.image_size)
    image = _taken(sample.image, grid, "bilinear").round().clamp(0, 255).to(torch.uint8)
    label_map = target.label_map
    if label_map is not None:
        label_map = _taken(label_map[None], grid, "nearest")[0].long()
    return replace(sample, image=image, target=Target(image_size=target.image_size, label_map=label_map))


def sampling_grid(displacements: Float[Tensor, "2 k k"], size: tuple[int, int]) -> Float[Tensor, "1 h w 2"]:
    """Say where each pixel of `size` `(height, width)` comes from, as `F.grid_sample` takes it.

    The displacements are `(x, y)`, as shares of the sides.
    """
    field = F.interpolate(displacements[None], size, mode="bicubic", align_corners=True)
    staying = F.affine_grid(torch.eye(2, 3)[None], [1, 1, *size], align_corners=False)
    return staying + 2 * field.permute(0, 2, 3, 1)


def _taken(values: Tensor, grid: Float[Tensor, "1 h w 2"], mode: str) -> Float[Tensor, "c h w"]:
    """Sample `(C, H, W)`; numbers of a label map are whole in float32, too."""
    return F.grid_sample(values[None].float(), grid, mode=mode, padding_mode="reflection", align_corners=False)[0]
