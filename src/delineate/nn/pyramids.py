"""Feature maps that detectors look at: one level of a backbone, or a feature pyramid of all.

Pictures are padded by zeros, at right and bottom, to a multiple of the backbone's coarsest stride, so that levels fit
each other and a picture's features depend on nothing but itself.
"""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.nn.backbones import Backbone
from delineate.values import InputError


class Pyramid(nn.Module, ABC):
    """Pictures `(B, 3, H, W)` to maps `(B, channels, h, w)`, one for each of `strides`, fine to coarse."""

    backbone: Backbone
    channels: int
    strides: tuple[int, ...]

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        """The maps of normalised pictures, that of stride s of `ceil(side of the padded picture / s)`."""

    def padded(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        """The pictures with zeros at right and bottom, their sides multiples of the coarsest stride."""
        coarsest = self.backbone.strides[-1]
        height, width = images.shape[-2:]
        return F.pad(images, (0, -width % coarsest, 0, -height % coarsest))


class SingleLevel(Pyramid):
    """The backbone's coarsest level, as in Faster R-CNN before feature pyramids (stride 16: C4, or VGG's conv5)."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.channels = backbone.channels[-1]
        self.strides = backbone.strides[-1:]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        return (self.backbone(self.padded(images)).levels[-1],)


class FPN(Pyramid):
    """Lin et al. 2017, "Feature pyramid networks for object detection": strides 4 to 32, and 64 by subsampling.

    stride 32   1x1 ─────────┬─► 3x3 ─► level ─► every second value ─► level of stride 64
    stride 16   1x1 ─► + ◄─ x2 ─► 3x3 ─► level
    stride  8   1x1 ─► + ◄─ x2 ...

    Raises `InputError` when the backbone has no map at one of these strides.
    """

    STRIDES = (4, 8, 16, 32)

    def __init__(self, backbone: Backbone, channels: int = 256) -> None:
        super().__init__()
        there = dict(zip(backbone.strides, backbone.channels, strict=True))
        for stride in self.STRIDES:
            if stride not in there:
                raise InputError(f"fpn: needs maps at strides 4, 8, 16 and 32; {backbone.name} has {list(there)}")
        self.backbone = backbone
        self.channels = channels
        self.strides = (*self.STRIDES, 2 * self.STRIDES[-1])
        self.laterals = nn.ModuleList(nn.Conv2d(there[stride], channels, 1) for stride in self.STRIDES)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in self.STRIDES)
        for conv in (*self.laterals, *self.outputs):
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            nn.init.kaiming_uniform_(conv.weight, a=1)
            nn.init.zeros_(conv.bias)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        features = self.backbone(self.padded(images))
        levels = dict(zip(self.backbone.strides, features.levels, strict=True))
        merged: list[Tensor] = []
        for stride, lateral in zip(reversed(self.STRIDES), reversed(self.laterals), strict=True):
            x = lateral(levels[stride])
            merged.insert(0, x + F.interpolate(merged[0], scale_factor=2.0, mode="nearest") if merged else x)
        outputs = [output(x) for output, x in zip(self.outputs, merged, strict=True)]
        return (*outputs, F.max_pool2d(outputs[-1], 1, stride=2))
