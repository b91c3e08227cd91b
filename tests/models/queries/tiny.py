"""The smallest form of each system of the family."""

from typing import Any

TINY: dict[str, dict[str, Any]] = {
    "detr": {"backbone": "resnet10t", "num_queries": 12, "width": 64, "num_layers": 2},
    "detr_small": {"backbone": "resnet10t", "query_side": 4, "width": 64, "num_layers": 2},
    "rtdetr": {
        "backbone": "resnet10t",
        "image_size": 96,
        "num_queries": 20,
        "width": 64,
        "num_layers": 2,
        "fusion_width": 32,
        "fusion_depth": 1,
    },
}
