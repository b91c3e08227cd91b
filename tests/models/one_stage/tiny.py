"""The smallest form of each system of the family."""

from typing import Any

TINY: dict[str, dict[str, Any]] = {
    "yolov1": {"backbone": "resnet10t", "image_size": 96, "num_cells": 3, "width": 64, "head_width": 256},
    "yolov2": {"backbone": "resnet10t", "image_size": 128, "width": 64},
    "ssd": {"backbone": "resnet10t", "image_size": 96, "smallest_scale": 0.2},
    "ssd300": {"backbone": "vgg11_bn"},
    "ssd512": {"backbone": "vgg11_bn"},
    "retinanet": {"backbone": "resnet10t", "width": 32},
    "fcos": {"backbone": "resnet10t", "width": 32},
}
