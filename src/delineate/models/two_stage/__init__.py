"""Two-stage systems: proposer -> RoI features -> heads."""

from delineate.models.two_stage.detector import TwoStageDetector
from delineate.models.two_stage.presets import (
    fast_rcnn,
    faster_rcnn,
    keypoint_rcnn,
    mask_rcnn,
    rcnn,
    sliding_window_detector,
)

__all__ = [
    "TwoStageDetector",
    "fast_rcnn",
    "faster_rcnn",
    "keypoint_rcnn",
    "mask_rcnn",
    "rcnn",
    "sliding_window_detector",
]
