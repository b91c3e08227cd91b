"""Dense systems share these options; the command line prints their documentation."""

from typing import Annotated, Literal

from typing_extensions import Doc

Upsampling = Annotated[
    Literal["nearest", "bilinear", "bed_of_nails", "max_unpool", "transposed"],
    Doc("How maps grow again; max_unpool needs an encoder that keeps its pooling indices: plain or a VGG."),
]
Downsampling = Annotated[
    Literal["max_pool", "strided_conv"],
    Doc("How the plain encoder shrinks its maps; the encoders of timm have their own way."),
]
BackboneName = Annotated[
    str, Doc("The encoder: any timm model with feature maps (resnet18, convnext_tiny, vgg16_bn ...), or plain.")
]
Dice = Annotated[float, Doc("Weight of the Dice loss added to the cross-entropy; 0 leaves it out.")]
