"""The options of one-stage systems are types; the command line prints their documentation."""

from typing import Annotated, Literal

from typing_extensions import Doc

DarknetOrTimm = Annotated[
    str, Doc("darknet19, tiny_darknet, or any timm model with feature maps (resnet18, mobilenetv3_large_100 ...).")
]
DarknetOneOrTimm = Annotated[
    str, Doc("darknet24, tiny_darknet, or any timm model with feature maps (resnet18, mobilenetv3_large_100 ...).")
]
BackboneName = Annotated[
    str, Doc("Any timm model with feature maps (mobilenetv3_large_100, resnet18, convnext_tiny ...).")
]
VGG = Annotated[str, Doc("A VGG of timm; vgg16_bn, with batch norms, learns far better from scratch than vgg16.")]
SmallestScale = Annotated[float, Doc("Side of the smallest default boxes, as a share of the picture's.")]
NumCells = Annotated[int, Doc("Cells along each side of the picture; each says one class.")]
NumBoxes = Annotated[int, Doc("Boxes of a cell, of which the best one learns an object.")]
Head = Annotated[
    Literal["normalised", "connected", "local", "direct", "conv"],
    Doc(
        "Layers before the last: fully connected, with a norm that the paper has not, or as published; a convolution "
        "with weights of its own for each cell (local); none (direct). conv shares its weights among cells, and learns "
        "far sooner."
    ),
]
Width = Annotated[int, Doc("Channels of the convolutions behind the backbone; the paper has 1024.")]
HeadWidth = Annotated[int, Doc("Values of the fully connected layer, or channels of the convolution.")]
NumAnchors = Annotated[int, Doc("Anchors of a cell; k-means chooses them from the training boxes.")]
Passthrough = Annotated[bool, Doc("Use the map of stride 16 as well as that of stride 32; tiny YOLOv2 does not.")]
DarknetOrder = Annotated[
    bool, Doc("Mix the passthrough's channels as Darknet does, for weights published with it, and not pixel by pixel.")
]
HeadChannels = Annotated[int, Doc("Channels of the pyramid and of the heads.")]
