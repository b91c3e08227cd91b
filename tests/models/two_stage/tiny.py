"""The smallest form of each system of the family."""

from typing import Any

REGION = {"backbone": "resnet10t", "width": 32, "anchor_size": 16, "num_rois": 64}
CROPS = {"backbone": "resnet10t", "warp_size": 32, "num_rois": 32}
TINY: dict[str, dict[str, Any]] = {
    "sliding_window_detector": {**CROPS, "anchor_size": 40},
    "rcnn": {**CROPS, "max_proposals": 50},
    "fast_rcnn": {**REGION, "max_proposals": 50},
    "faster_rcnn": REGION,
    "mask_rcnn": REGION,
    "keypoint_rcnn": REGION,
}
