"""U-Net: Ronneberger, Fischer, Brox 2015, "U-Net: convolutional networks for biomedical image segmentation".

    stride 1   enc ────────────────► cat ─► conv conv ─► 1x1 ─► logits
    stride 2     └► enc ───────► cat ─► conv conv ─┘ up
    stride 4          └► enc ──► conv conv ─┘ up

Training pictures are bent at random, as section 3.1 calls key (data/elastic.py): by 10 of 512 pixels there, and so by
0.02 of the sides (`--elastic`) here.

Where it deviates: convolutions are padded, so the output has the picture's size and no tile of context is lost; each is
followed by batch normalisation. There is no dropout, and no loss that weighs the borders between cells, which needs
instances: a label map has none. Other encoders and upsamplers can take the places of the paper's; ResNet-18, the
default, trains from scratch in minutes on a laptop. Behind such an encoder the decoder has 16 to 256 channels and the
classifier is 3x3, as 16 channels through a 1x1 classifier learn slowly.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Doc

from delineate.models.segmentation.encoders import dense_encoder
from delineate.models.segmentation.options import BackboneName, Dice, Downsampling, Upsampling
from delineate.models.segmentation.segmenter import Segmenter
from delineate.models.segmentation.upsamplers import Upsampler, make_upsampler
from delineate.nn.backbones import Backbone
from delineate.nn.blocks import conv_bn_relu, num_cells

LIGHT_WIDTHS = (16, 32, 64, 128, 256)
"""The decoder has these widths at strides 1, 2, 4 ... for an encoder of `timm`; it mirrors the plain one."""

LIGHT_CLASSIFIER_SIZE = 3
"""The classifier behind those widths has this kernel size, where the paper's is 1x1 over 64 channels.

Adam moves each weight by about the learning rate, so the scores of 16 weights a class move slowly; those of 144 do not.
"""


class UNet(nn.Module):
    """Pictures `(B, 3, H, W)` become logits `(B, num_classes, H, W)`, of any size."""

    def __init__(
        self,
        *,
        encoder: Backbone,
        widths: Sequence[int],
        upsampler: Upsampling,
        classifier_size: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.steps = nn.ModuleList()
        skips = dict(zip(encoder.strides, encoder.channels, strict=True))
        stride, channels = encoder.strides[-1], encoder.channels[-1]
        while stride > 1:
            width = widths[(stride // 2).bit_length() - 1]
            up = make_upsampler(upsampler, channels, width, stride, encoder.index_channels)
            stride, channels = stride // 2, width
            self.steps.append(UpStep(up, skip_channels=skips.get(stride, 0), width=width))
        self.classify = nn.Conv2d(channels, num_classes, classifier_size, padding=classifier_size // 2)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        features = self.encoder(images)
        skips = dict(zip(self.encoder.strides, features.levels, strict=True))
        stride = self.encoder.strides[-1]
        x = skips[stride]
        for step in self.steps:
            indices = features.indices.get(stride)
            stride //= 2
            size = tuple(num_cells(side, stride) for side in images.shape[-2:])
            x = step(x, size, skips.get(stride), indices)
        logits: Tensor = self.classify(x)
        return logits


class UpStep(nn.Module):
    """It doubles the size, puts the encoder's map of that size beside it, and convolves twice."""

    def __init__(self, up: Upsampler, *, skip_channels: int, width: int) -> None:
        super().__init__()
        self.up = up
        self.convs = nn.Sequential(conv_bn_relu(width + skip_channels, width), conv_bn_relu(width, width))

    def forward(self, x: Tensor, size: tuple[int, int], skip: Tensor | None, indices: Tensor | None) -> Tensor:
        x = self.up(x, size, indices)
        fused: Tensor = self.convs(x if skip is None else torch.cat([x, skip], 1))
        return fused


def unet(
    *,
    num_classes: int,
    backbone: BackboneName = "resnet18",
    upsampler: Upsampling = "transposed",
    downsampling: Downsampling = "max_pool",
    width: Annotated[int, Doc("Channels of the plain encoder's first stage; each later one has twice as many.")] = 64,
    dice: Dice = 0.0,
) -> Segmenter:
    """Build U-Net; `backbone="plain"` is the paper's own contracting path."""
    widths = tuple(width * 2**stage for stage in range(5))
    encoder = dense_encoder(backbone, widths=widths, depths=(2,) * 5, downsampling=downsampling, tap="conv")
    network = UNet(
        encoder=encoder,
        widths=widths if backbone == "plain" else LIGHT_WIDTHS,
        upsampler=upsampler,
        classifier_size=1 if backbone == "plain" else LIGHT_CLASSIFIER_SIZE,
        num_classes=num_classes,
    )
    return Segmenter(network=network, num_classes=num_classes, dice_weight=dice)
