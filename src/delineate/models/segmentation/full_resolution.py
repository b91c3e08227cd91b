"""A network that never downsamples is right in principle, and what encoder-decoders are measured by.

Every map has the picture's size, so time and memory grow with `width` at full resolution, and each 3x3 convolution
widens the view by only two pixels.
"""

from typing import Annotated

from torch import nn
from typing_extensions import Doc

from delineate.models.segmentation.options import Dice
from delineate.models.segmentation.segmenter import Segmenter
from delineate.nn.blocks import conv_bn_relu


def fcn_full_resolution(
    *,
    num_classes: int,
    width: Annotated[int, Doc("Channels of every map.")] = 64,
    depth: Annotated[int, Doc("How many 3x3 convolutions.")] = 8,
    dice: Dice = 0.0,
) -> Segmenter:
    """Build `depth` convolutions of `width` channels at full resolution, then a 1x1 convolution to the classes."""
    convs = [conv_bn_relu(3 if i == 0 else width, width) for i in range(depth)]
    network = nn.Sequential(*convs, nn.Conv2d(width, num_classes, 1))
    return Segmenter(network=network, num_classes=num_classes, dice_weight=dice)
