"""The smallest form of each system of the family."""

from typing import Any

TINY: dict[str, dict[str, Any]] = {
    "localizer": {"backbone": "resnet10t", "image_size": 96, "width": 32, "hidden": 64},
    "pose_regressor": {"backbone": "resnet10t", "image_size": 96, "width": 32, "hidden": 64, "stages": 2},
}
