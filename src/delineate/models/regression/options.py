"""The options that systems for whole pictures share, as types; the command line prints their documentation."""

from typing import Annotated, Literal

from typing_extensions import Doc

Backbone = Annotated[str, Doc("Any timm model with feature maps (resnet18, resnet50, convnext_tiny ...).")]
ImageSize = Annotated[int, Doc("Side in pixels of the square that every picture is resized to.")]
Width = Annotated[int, Doc("Channels of the map that the heads see, 7 x 7 of it; 1x1 convolutions make it.")]
Hidden = Annotated[int, Doc("Values of each head's hidden layer.")]
BoxLoss = Annotated[Literal["l2", "smooth_l1"], Doc("How far a box may be off: by squares, or more mildly.")]
BoxWeight = Annotated[float, Doc("How much boxes count beside classes.")]
ClassSpecific = Annotated[bool, Doc("A box for each class, or one for whatever is there.")]
JointLoss = Annotated[Literal["l1", "l2", "smooth_l1"], Doc("How far a joint may be off.")]
Refine = Annotated[bool, Doc("Look again around each joint, and move it.")]
