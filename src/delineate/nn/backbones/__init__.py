"""Backbones: pictures in, feature maps at declared channels and strides out."""

from delineate.nn.backbones.contract import Backbone, Features
from delineate.nn.backbones.timm import TimmBackbone
from delineate.nn.backbones.vgg import Tap, VGGBackbone, pool_between
from delineate.nn.backbones.weights import load_backbone_weights, read_weights

__all__ = [
    "Backbone",
    "Features",
    "Tap",
    "TimmBackbone",
    "VGGBackbone",
    "load_backbone_weights",
    "pool_between",
    "read_weights",
    "timm_backbone",
]


def timm_backbone(
    name: str,
    *,
    tap: Tap = "pool",
    classifier: bool = False,
    deepest_stride: int | None = None,
    output_stride: int | None = None,
) -> Backbone:
    """The backbone of that `timm` name; a VGG keeps its pooling indices, and with tap `conv` ends at stride 16.

    Raises `InputError` for an unknown name, and for a stride that the model cannot have.
    """
    if name.startswith("vgg") and output_stride is None:
        return VGGBackbone(name, tap="conv" if deepest_stride == 16 else tap, classifier=classifier)
    return TimmBackbone(name, deepest_stride=deepest_stride, output_stride=output_stride)
