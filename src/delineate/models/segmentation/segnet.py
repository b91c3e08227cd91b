"""SegNet: Badrinarayanan, Kendall, Cipolla 2017, "SegNet: a deep convolutional encoder-decoder architecture".

The decoder mirrors the encoder. It has no skips: what it takes from the encoder is *where* each maximum came from.

    conv.. pool ─ conv.. pool ─ ... ─ pool ──► unpool conv.. ─ ... ─ unpool conv.. ─ unpool conv.. ─► logits
             └─ indices ──────────────────────────────────────────────────┘

As in the authors' files, SegNet's last convolution, the mirror of its first one, gives the classes, behind SegNet-Basic
there is a 1x1 one, and rare classes weigh more in the loss (`--class-weights median_frequency` is both systems' own).

Where it deviates: SegNet has PyTorch's initialisation, not He's (SegNet-Basic has He's), as a pretrained VGG takes its
place anyway. SegNet-Basic's input is normalised by mean and deviation, not by local responses, and convolutions before
batch normalisation have no biases, as in every other system here.
"""

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from delineate.models.segmentation.encoders import VGG16_DEPTHS, VGG16_WIDTHS, PlainEncoder, dense_encoder
from delineate.models.segmentation.options import BackboneName, Dice, Downsampling, Upsampling
from delineate.models.segmentation.segmenter import Segmenter
from delineate.models.segmentation.upsamplers import make_upsampler
from delineate.nn.backbones import VGGBackbone
from delineate.nn.blocks import conv_bn_relu, num_cells
from delineate.values import InputError


class SegNet(nn.Module):
    """Pictures `(B, 3, H, W)` become logits `(B, num_classes, H, W)`, of any size.

    The last convolution is the `classifier`: that of the mirrored first one, or one of 1x1 behind it.
    """

    def __init__(
        self,
        *,
        encoder: PlainEncoder | VGGBackbone,
        upsampler: Upsampling,
        num_classes: int,
        kernel_size: int = 3,
        classifier: Literal["mirrored", "1x1"] = "mirrored",
    ) -> None:
        super().__init__()
        assert encoder.tap == "pool", "SegNet undoes every pooling, the last one too"
        self.encoder = encoder
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        for i in reversed(range(len(encoder.channels))):
            width = encoder.channels[i]
            self.ups.append(make_upsampler(upsampler, width, width, encoder.strides[i], encoder.index_channels))
            widths = [width] * encoder.depths[i] + [encoder.channels[max(i - 1, 0)]]
            if i == 0 and classifier == "mirrored":
                widths.pop()
            convs = [conv_bn_relu(a, b, kernel_size) for a, b in pairwise(widths)]
            self.decoders.append(nn.Sequential(*convs))
        size = kernel_size if classifier == "mirrored" else 1
        self.classify = nn.Conv2d(encoder.channels[0], num_classes, size, padding=size // 2)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        features = self.encoder(images)
        x = features.levels[-1]
        for stride, up, decoder in zip(reversed(self.encoder.strides), self.ups, self.decoders, strict=True):
            size = tuple(num_cells(side, stride // 2) for side in images.shape[-2:])
            x = decoder(up(x, size, features.indices.get(stride)))
        logits: Tensor = self.classify(x)
        return logits


def segnet(
    *,
    num_classes: int,
    backbone: BackboneName = "vgg16_bn",
    upsampler: Upsampling = "max_unpool",
    downsampling: Downsampling = "max_pool",
    dice: Dice = 0.0,
) -> Segmenter:
    """Build SegNet; its encoder is a VGG of `timm` (the paper's: VGG-16's 13 convolutions), or `plain`: those, our own.

    Raises `InputError` for another backbone: the decoder mirrors a stack of poolings.
    """
    if backbone != "plain" and not backbone.startswith("vgg"):
        raise InputError(
            f"backbone: segnet mirrors a stack of poolings, which {backbone} is not; choose a VGG or plain"
        )
    encoder = dense_encoder(backbone, widths=VGG16_WIDTHS, depths=VGG16_DEPTHS, downsampling=downsampling, tap="pool")
    assert isinstance(encoder, PlainEncoder | VGGBackbone)
    network = SegNet(encoder=encoder, upsampler=upsampler, num_classes=num_classes)
    return Segmenter(network=network, num_classes=num_classes, dice_weight=dice)


def segnet_basic(
    *,
    num_classes: int,
    width: int = 64,
    upsampler: Upsampling = "max_unpool",
    downsampling: Downsampling = "max_pool",
    dice: Dice = 0.0,
) -> Segmenter:
    """Build SegNet-Basic (section 3.1): four encoders and four decoders have one 7x7 convolution each, a 1x1 follows.

    Its decoders end in batch normalisation without ReLU, its filters start as He et al. 2015 say (section 3.2).
    """
    encoder = PlainEncoder(widths=(width,) * 4, depths=(1,) * 4, kernel_size=7, downsampling=downsampling, tap="pool")
    network = SegNet(encoder=encoder, upsampler=upsampler, num_classes=num_classes, kernel_size=7, classifier="1x1")
    for decoder in network.decoders:
        decoder[0][2] = nn.Identity()  # type: ignore[index]
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    return Segmenter(network=network, num_classes=num_classes, dice_weight=dice)
