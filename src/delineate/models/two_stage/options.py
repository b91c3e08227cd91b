"""The options that region systems share, as types; the command line prints their documentation."""

from typing import Annotated, Literal

from typing_extensions import Doc

Backbone = Annotated[str, Doc("Any timm model with feature maps (resnet18, resnet50, convnext_tiny, vgg16 ...).")]
ProposerName = Annotated[
    Literal["sliding_window", "selective_search", "rpn"], Doc("Where boxes to look at come from; rpn is learned.")
]
RoIName = Annotated[
    Literal["warp", "pool", "align"], Doc("What the head sees of a box: warped pixels, or pooled or aligned features.")
]
Classifier = Annotated[
    Literal["softmax", "svm"],
    Doc("How boxes are classified; svm: linear SVMs and box regression, fitted on the features once they are learned."),
]
Pyramidal = Annotated[bool, Doc("Look at a feature pyramid of four levels, or at the map of stride 16 alone.")]
Width = Annotated[
    int, Doc("Channels of pyramid and mask head; fully connected layers have four times, keypoint heads twice as many.")
]
AnchorSize = Annotated[int, Doc("Side of the smallest anchors in pixels; each of four more sizes is twice as large.")]
NumRoIs = Annotated[int, Doc("Boxes of a picture that a step learns from; fewer are faster, and learn less from each.")]
MaxProposals = Annotated[int, Doc("The most proposals of a picture that selective search gives.")]
WarpSize = Annotated[int, Doc("Side in pixels of the warped crops.")]
FrozenNorm = Annotated[
    bool, Doc("Keep the backbone's batch norms as loaded: for pretrained weights and few pictures a step.")
]
