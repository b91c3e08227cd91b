"""Darknet's networks are backbones here, without their classifiers.

darknet24     Redmon et al. 2016, "You only look once: unified, real-time object detection", figure 3
darknet19     Redmon & Farhadi 2017, "YOLO9000: better, faster, stronger", table 6
tiny_darknet  the small ones that were published beside both, which differ in their last stages

They are 3x3 convolutions and 1x1 ones that narrow, each with batch normalisation and a leaky ReLU, and max poolings.
"""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.nn.backbones import Backbone, Features, pool_between, timm_backbone
from delineate.values import InputError

Conv = tuple[int, int, int]
"""Channels, kernel size, stride."""


def _alternating(*widths: int) -> tuple[Conv, ...]:
    """Take turns of 3x3 and 1x1, beginning and ending with 3x3."""
    return tuple((width, 1 if number % 2 else 3, 1) for number, width in enumerate(widths))


NARROW = tuple(_alternating(width) for width in (16, 32, 64, 128, 256, 512))
STAGES: dict[str, tuple[tuple[Conv, ...], ...]] = {
    "darknet24": (
        ((64, 7, 2),),
        ((192, 3, 1),),
        ((128, 1, 1), *_alternating(256, 256, 512)),
        ((256, 1, 1), *_alternating(512, 256, 512, 256, 512, 256, 512, 512, 1024)),
        ((512, 1, 1), *_alternating(1024, 512, 1024), (1024, 3, 1), (1024, 3, 2), (1024, 3, 1), (1024, 3, 1)),
    ),
    "darknet19": (
        _alternating(32),
        _alternating(64),
        _alternating(128, 64, 128),
        _alternating(256, 128, 256),
        _alternating(512, 256, 512, 256, 512),
        _alternating(1024, 512, 1024, 512, 1024),
    ),
    "tiny_darknet v1": (*NARROW, ((1024, 3, 1), (256, 3, 1))),
    "tiny_darknet v2": NARROW,
}


class Darknet(Backbone):
    """Stages of convolutions have a max pooling between two; the maps are those before each pooling."""

    def __init__(self, name: str, stages: Sequence[Sequence[Conv]]) -> None:
        super().__init__()
        self.name = name
        self.blocks = nn.ModuleList()
        self.channels, self.strides = (), ()
        before, stride = 3, 1
        for convs in stages:
            block: list[nn.Module] = []
            for width, kernel_size, step in convs:
                block.append(conv_bn_leaky(before, width, kernel_size, step))
                before, stride = width, stride * step
            self.blocks.append(nn.Sequential(*block))
            self.channels, self.strides = (*self.channels, before), (*self.strides, stride)
            stride *= 2
        self.index_channels = {}

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Features:
        return Features(pool_between(images, list(self.blocks), tap="conv")[0], {})

    def stages(self) -> list[nn.Module]:
        return list(self.blocks)

    def imagenet_weights(self) -> dict[str, Tensor]:
        raise InputError(
            f"pretrained: timm has no weights of {self.name}; give --backbone-weights, or another backbone"
        )

    def imagenet_statistics(self) -> dict[str, Any]:
        """Darknet's pictures have values of 0 to 1, and are not normalised."""
        return {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


class PoolAtStrideOne(nn.Module):
    """A 2x2 max pooling keeps the size; the last row and column see themselves."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-float("inf")), 2, stride=1)


def darknet(name: str, *, version: int) -> Backbone:
    """Build the backbone of that name for YOLO of version 1 or 2: one of Darknet's, or else `timm`'s."""
    if name == "tiny_darknet":
        body = Darknet(name, STAGES[f"{name} v{version}"])
        if version == 2:
            body.blocks[-1].extend([PoolAtStrideOne(), conv_bn_leaky(512, 1024)])  # type: ignore[operator]
            body.channels = (*body.channels[:-1], 1024)
        return body
    return Darknet(name, STAGES[name]) if name in ("darknet19", "darknet24") else timm_backbone(name)


def conv_bn_leaky(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a padded convolution, batch normalisation and a leaky ReLU of slope 0.1."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.1, inplace=True),
    )
