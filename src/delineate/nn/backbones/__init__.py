"""Backbones make feature maps of pictures, at declared channels and strides."""

from delineate.nn.backbones.contract import Backbone, Features
from delineate.nn.backbones.published import PLACE, cached_weights, named_weights, weights_at
from delineate.nn.backbones.timm import PROJECTED, TimmBackbone, project_first_shortcut
from delineate.nn.backbones.vgg import Tap, VGGBackbone, pool_between
from delineate.nn.backbones.weights import load_backbone_weights, read_weights

__all__ = [
    "PLACE",
    "Backbone",
    "Features",
    "Tap",
    "TimmBackbone",
    "VGGBackbone",
    "cached_weights",
    "load_backbone_weights",
    "named_weights",
    "pool_between",
    "read_weights",
    "timm_backbone",
    "weights_at",
]


def timm_backbone(
    name: str,
    *,
    tap: Tap = "pool",
    classifier: bool = False,
    deepest_stride: int | None = None,
    output_stride: int | None = None,
    frozen_norm: bool = False,
) -> Backbone:
    """Build the backbone of that `timm` name; a VGG keeps its pooling indices, and with tap `conv` ends at stride 16.

    `resnet18vd` and `resnet34vd` are those of RT-DETR's published weights: `timm`'s `resnet18d` and `resnet34d` with
    one more layer.
    Raises `InputError` for an unknown name, and for a stride that the model cannot have.
    """
    backbone: Backbone
    if name.startswith("vgg") and output_stride is None:
        backbone = VGGBackbone(name, tap="conv" if deepest_stride == 16 else tap, classifier=classifier)
    else:
        strides = {"deepest_stride": deepest_stride, "output_stride": output_stride}
        backbone = TimmBackbone(PROJECTED.get(name, name), **strides)
        if name in PROJECTED:
            project_first_shortcut(backbone, name)
    if frozen_norm:
        backbone.freeze_norms()
    return backbone
