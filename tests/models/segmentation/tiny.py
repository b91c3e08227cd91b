"""The smallest form of each system of the family."""

from typing import Any

from tests.models.thin import THIN_VGG

TINY: dict[str, dict[str, Any]] = {
    "sliding_window_segmenter": {"width": 16},
    "fcn_full_resolution": {"width": 16, "depth": 5},
    "fcn32s": {"backbone": "resnet10t"},
    "fcn16s": {"backbone": "resnet10t"},
    "fcn8s": {"backbone": "resnet10t"},
    "segnet": {"backbone": THIN_VGG},
    "segnet_basic": {"width": 16},
    "unet": {"backbone": "resnet10t"},
    "deeplabv3": {"backbone": "resnet10t", "output_stride": 8, "auxiliary": True},
    "deeplabv3plus": {"backbone": "resnet10t"},
    "lraspp": {"backbone": "mobilenetv3_small_050"},
    "segformer": {"backbone": "resnet10t", "width": 32},
}
