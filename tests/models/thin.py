"""A VGG that is as deep as `vgg11_bn` and a quarter as wide, which `timm` knows while tests run, for their speed."""

from typing import Any

from timm.models import register_model
from timm.models.vgg import VGG
from torch import nn


@register_model
def vgg11thin_bn(
    pretrained: bool = False,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: Any = None,
    cache_dir: Any = None,
    **options: Any,
) -> VGG:
    assert not pretrained, "there are no weights of it"
    return VGG([16, "M", 32, "M", 64, 64, "M", 128, 128, "M", 128, 128, "M"], norm_layer=nn.BatchNorm2d, **options)


THIN_VGG = vgg11thin_bn.__name__
