"""The options of set prediction are types; the command line prints their documentation."""

from typing import Annotated

from typing_extensions import Doc

Backbone = Annotated[str, Doc("Any timm model with feature maps (resnet18, resnet50, convnext_tiny ...).")]
NumQueries = Annotated[int, Doc("Queries, the most objects detected in a picture; choose more than any picture holds.")]
QuerySide = Annotated[
    int, Doc("Queries along each side of the picture; the square of it is the most objects that are detected.")
]
Width = Annotated[
    int, Doc("Channels of the transformer, a multiple of 8; feed-forward layers have several times as many.")
]
NumLayers = Annotated[int, Doc("Layers of the encoder, and as many of the decoder.")]
FrozenNorm = Annotated[
    bool, Doc("Keep the backbone's batch norms as loaded: for pretrained weights and few pictures a step.")
]
