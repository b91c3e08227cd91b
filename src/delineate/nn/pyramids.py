"""Detectors look at one level of a backbone, or at a feature pyramid of several.

Pictures are padded by zeros, at right and bottom, to a multiple of the backbone's coarsest stride, so that levels fit
each other and a picture's features depend on nothing but itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.nn.backbones import Backbone
from delineate.nn.blocks import initialise, padded_to
from delineate.values import InputError

Further = Literal["subsample", "convolve_backbone", "convolve_pyramid"]
"""A pyramid gets levels coarser than the backbone's in one of these ways."""


class Pyramid(nn.Module, ABC):
    """Pictures `(B, 3, H, W)` become maps `(B, channels, h, w)`, one for each of `strides`, fine to coarse."""

    backbone: Backbone
    channels: int
    strides: tuple[int, ...]

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        """Compute the maps of normalised pictures, that of stride s of `ceil(side of the padded picture / s)`."""


class SingleLevel(Pyramid):
    """It gives the coarsest level, as in Faster R-CNN before feature pyramids (stride 16: C4, or VGG's conv5)."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.channels = backbone.channels[-1]
        self.strides = backbone.strides[-1:]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        return (self.backbone(padded_to(images, self.strides[-1])).levels[-1],)


class FPN(Pyramid):
    """Lin et al. 2017, "Feature pyramid networks for object detection": strides 4 to 32, and 64 by subsampling.

    stride 32   1x1 ─────────┬─► 3x3 ─► level ─► every second value ─► level of stride 64
    stride 16   1x1 ─► + ◄─ x2 ─► 3x3 ─► level
    stride  8   1x1 ─► + ◄─ x2 ...

    `strides` are those of the backbone's maps that it takes, each twice the one before. `num_further` levels follow,
    coarser ones: by subsampling the pyramid's coarsest level, or by 3x3 convolutions of stride 2 over that of the
    backbone or of the pyramid, with a ReLU between two (Lin et al. 2017, "Focal loss for dense object detection",
    section 4, P6 and P7). Raises `InputError` when the backbone has no map at one of these strides.
    """

    def __init__(
        self,
        backbone: Backbone,
        channels: int = 256,
        *,
        strides: Sequence[int] = (4, 8, 16, 32),
        further: Further = "subsample",
        num_further: int = 1,
    ) -> None:
        super().__init__()
        widths = dict(zip(backbone.strides, backbone.channels, strict=True))
        if not set(strides) <= set(widths):
            needs = f"{', '.join(map(str, strides[:-1]))} and {strides[-1]}"
            raise InputError(f"fpn: needs maps at strides {needs}; {backbone.name} has {list(widths)}")
        self.backbone = backbone
        self.channels, self.taken = channels, tuple(strides)
        self.num_further, self.from_backbone = num_further, further == "convolve_backbone"
        self.strides = (*strides, *(strides[-1] * 2 ** (step + 1) for step in range(num_further)))
        self.laterals = nn.ModuleList(nn.Conv2d(widths[stride], channels, 1) for stride in strides)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in strides)
        first = widths[strides[-1]] if self.from_backbone else channels
        num_convs = 0 if further == "subsample" else num_further
        self.further = nn.ModuleList(
            nn.Conv2d(first if step == 0 else channels, channels, 3, stride=2, padding=1) for step in range(num_convs)
        )
        initialise((*self.laterals, *self.outputs, *self.further), partial(nn.init.kaiming_uniform_, a=1))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        features = self.backbone(padded_to(images, self.backbone.strides[-1]))
        levels = dict(zip(self.backbone.strides, features.levels, strict=True))
        merged: list[Tensor] = []
        for stride, lateral in zip(reversed(self.taken), reversed(self.laterals), strict=True):
            x = lateral(levels[stride])
            merged.insert(0, x + F.interpolate(merged[0], size=x.shape[-2:], mode="nearest") if merged else x)
        outputs = [output(x) for output, x in zip(self.outputs, merged, strict=True)]
        return (*outputs, *self.coarser(levels[self.taken[-1]], outputs[-1]))

    def coarser(self, level: Float[Tensor, "b c h w"], output: Float[Tensor, "b d h w"]) -> Iterator[Tensor]:
        """Make the further levels of the coarsest map of the backbone that is taken, or of that of the pyramid."""
        x = level if self.from_backbone else output
        for step in range(self.num_further):
            x = self.further[step](F.relu(x) if step else x) if self.further else F.max_pool2d(x, 1, stride=2)
            yield x
