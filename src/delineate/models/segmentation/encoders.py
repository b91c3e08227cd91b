"""The dense family has an encoder of its own, beside the backbones of `timm`."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from delineate.models.segmentation.options import Downsampling
from delineate.nn.backbones import Backbone, Features, Tap, pool_between, timm_backbone
from delineate.nn.blocks import conv_bn_relu
from delineate.values import InputError

VGG16_WIDTHS = (64, 128, 256, 512, 512)
VGG16_DEPTHS = (2, 2, 3, 3, 3)
"""VGG-16's five stages have so many channels and convolutions (Simonyan & Zisserman 2015, table 1, column D)."""


class PlainEncoder(Backbone):
    """Stages have `depths[i]` convolutions of `widths[i]` channels, each of half the size of the one before.

    With `max_pool` it keeps the pooling indices; with `strided_conv` a convolution of stride 2 takes the place of each.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        kernel_size: int = 3,
        downsampling: Downsampling = "max_pool",
        tap: Tap,
    ) -> None:
        super().__init__()
        self.name, self.downsampling, self.tap = "plain", downsampling, tap
        self.depths = tuple(depths)
        self.channels = tuple(widths)
        self.strides = tuple(2 ** (i + (tap == "pool")) for i in range(len(widths)))
        self.blocks = nn.ModuleList()
        for (before, width), depth in zip(pairwise((3, *widths)), depths, strict=True):
            convs = [conv_bn_relu(before if i == 0 else width, width, kernel_size) for i in range(depth)]
            self.blocks.append(nn.Sequential(*convs))
        shrinking = widths if tap == "pool" else widths[:-1]
        if downsampling == "max_pool":
            self.index_channels = {2 ** (i + 1): width for i, width in enumerate(shrinking)}
        else:
            self.index_channels = {}
            self.downs = nn.ModuleList(conv_bn_relu(width, width, 3, stride=2) for width in shrinking)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Features:
        if self.downsampling == "max_pool":
            return Features(*pool_between(images, list(self.blocks), tap=self.tap))
        levels, x = [], images
        for i, block in enumerate(self.blocks):
            full = block(x)
            x = self.downs[i](full) if i < len(self.downs) else full
            levels.append(full if self.tap == "conv" else x)
        return Features(tuple(levels), {})

    def stages(self) -> list[nn.Module]:
        if self.downsampling == "max_pool":
            return list(self.blocks)
        # a level ends after its convolution of stride 2 (tap "pool"), or begins with the one before it ("conv")
        first = 0 if self.tap == "pool" else 1
        return [
            nn.ModuleList([block, *list(self.downs)[max(i - first, 0) : i - first + 1]])
            for i, block in enumerate(self.blocks)
        ]

    def imagenet_weights(self) -> dict[str, Tensor]:
        raise InputError("pretrained: the plain encoder has no ImageNet weights; choose a --backbone of timm")


def dense_encoder(
    name: str,
    *,
    widths: Sequence[int],
    depths: Sequence[int],
    downsampling: Downsampling,
    tap: Tap,
    classifier: bool = False,
) -> Backbone:
    """Build the encoder called `name`: `plain` with these widths and depths, or a backbone of `timm`.

    Raises `InputError` for strided convolutions in an encoder that is not ours.
    """
    if name == "plain":
        return PlainEncoder(widths=widths, depths=depths, downsampling=downsampling, tap=tap)
    if downsampling != "max_pool":
        raise InputError(
            f"downsampling: {downsampling} is a choice of the plain encoder; add --backbone plain, or leave it out"
        )
    return timm_backbone(name, tap=tap, classifier=classifier)
