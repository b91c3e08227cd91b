"""Systems for whole pictures share these options; the command line prints their documentation."""

from typing import Annotated, Literal, TypedDict

from typing_extensions import Doc

from delineate.models.options import Default, ImageSize


class PictureOptions(TypedDict, total=False):
    """A backbone for whole pictures, and the map that its heads see, have these options."""

    backbone: Annotated[
        str, Doc("Any timm model with feature maps (resnet18, resnet50, convnext_tiny ...)."), Default("resnet18")
    ]
    image_size: Annotated[ImageSize, Default(224)]
    width: Annotated[
        int, Doc("Channels of the map that the heads see, 7 x 7 of it; 1x1 convolutions make it."), Default(128)
    ]


Hidden = Annotated[int, Doc("Values of each head's hidden layer.")]
BoxLoss = Annotated[Literal["l2", "smooth_l1"], Doc("How far a box may be off: by squares, or more mildly.")]
BoxWeight = Annotated[float, Doc("How much boxes count beside classes.")]
ClassSpecific = Annotated[bool, Doc("Predict a box for each class, instead of one box whatever the class.")]
JointLoss = Annotated[Literal["l1", "l2", "smooth_l1"], Doc("How far a joint may be off.")]
Stages = Annotated[int, Doc("How often joints are looked for; all but the first look around each joint, and move it.")]
Dropout = Annotated[float, Doc("Share of the hidden values that drops in training.")]
