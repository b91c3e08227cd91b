"""SegFormer: Xie, Wang, Yu, Anandkumar, Alvarez, Luo 2021, "SegFormer: simple and efficient design ... transformers".

    strides 4, 8, 16, 32 ─► 1x1 each ─► enlarged to stride 4 ─► side by side ─► 1x1 ─► 1x1 ─► logits, enlarged

Where it deviates: any backbone of `timm` with maps at these strides takes the place of the paper's mix transformer,
which `timm` has not. The default is the nearest to it, PVT v2: it embeds overlapping patches, shortens keys and values,
and mixes by convolutions, too. Dropout before the classifier is 0.1, as in the authors' code. Maps are enlarged by
whole factors and cropped, not stretched to each other's size: the same where the picture's sides are multiples of 32.
"""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Doc

from delineate.models.segmentation.options import Dice
from delineate.models.segmentation.segmenter import Segmenter
from delineate.models.segmentation.upsamplers import enlarged
from delineate.nn.backbones import Backbone, timm_backbone
from delineate.nn.blocks import conv_bn_relu
from delineate.values import InputError

STRIDES = (4, 8, 16, 32)
DROPOUT = 0.1


class SegFormer(nn.Module):
    """Pictures `(B, 3, H, W)` become logits `(B, num_classes, H, W)`, of any size."""

    def __init__(self, *, backbone: Backbone, width: int, num_classes: int) -> None:
        super().__init__()
        if not set(STRIDES) <= set(backbone.strides):
            raise InputError(
                f"backbone: SegFormer needs maps at strides 4 to 32; {backbone.name} has {backbone.strides}"
            )
        self.backbone = backbone
        self.levels = [backbone.strides.index(stride) for stride in STRIDES]
        self.embed = nn.ModuleList(nn.Conv2d(backbone.channels[level], width, 1) for level in self.levels)
        self.fuse = nn.Sequential(conv_bn_relu(len(STRIDES) * width, width, 1), nn.Dropout2d(DROPOUT))
        self.classify = nn.Conv2d(width, num_classes, 1)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        maps = self.backbone(images).levels
        size = maps[self.levels[0]].shape[-2:]
        embedded = [embed(maps[level]) for embed, level in zip(self.embed, self.levels, strict=True)]
        together = [enlarged(x, stride // STRIDES[0], size) for x, stride in zip(embedded, STRIDES, strict=True)]
        logits = self.classify(self.fuse(torch.cat(together[::-1], 1)))
        return enlarged(logits, STRIDES[0], images.shape[-2:])


def segformer(
    *,
    num_classes: int,
    backbone: Annotated[
        str, Doc("Any timm model with maps at strides 4 to 32 (pvt_v2_b0, convnext_tiny ...).")
    ] = "pvt_v2_b0",
    width: Annotated[int, Doc("Channels of the decoder; the paper's smaller two have 256.")] = 256,
    dice: Dice = 0.0,
) -> Segmenter:
    """Build SegFormer's decoder of linear layers on a backbone."""
    network = SegFormer(backbone=timm_backbone(backbone), width=width, num_classes=num_classes)
    return Segmenter(network=network, num_classes=num_classes, dice_weight=dice)
