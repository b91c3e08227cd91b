"""The options that grid systems share, as types; the command line prints their documentation."""

from typing import Annotated

from typing_extensions import Doc

Backbone = Annotated[str, Doc("Any timm model with feature maps (mobilenetv3_large_100, resnet18, convnext_tiny ...).")]
VGG = Annotated[str, Doc("A VGG of timm; vgg16_bn, with batch norms, learns far better from scratch than vgg16.")]
ImageSize = Annotated[int, Doc("Side in pixels of the square that every picture is resized to.")]
SmallestScale = Annotated[float, Doc("Side of the smallest default boxes, as a share of the picture's.")]
