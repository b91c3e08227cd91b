"""The smallest form of each system of the family."""

from typing import Any

from tests.models.thin import THIN_VGG

TINY: dict[str, dict[str, Any]] = {
    "yolov1": {"backbone": "resnet10t", "image_size": 96, "num_cells": 3, "width": 64, "head_width": 256},
    "yolov2": {"backbone": "resnet10t", "image_size": 128, "width": 64},
    "ssd": {"backbone": "resnet10t", "image_size": 96, "smallest_scale": 0.2},
    "ssd300": {"backbone": THIN_VGG},
    "ssd512": {"backbone": THIN_VGG},
    "retinanet": {"backbone": "resnet10t", "width": 32},
    "fcos": {"backbone": "resnet10t", "width": 32},
}
