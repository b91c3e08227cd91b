"""Two-stage systems: proposer -> RoI features -> heads."""

from delineate.models.two_stage.detector import TwoStageDetector, TwoStageReader
from delineate.models.two_stage.presets import (
    fast_rcnn,
    faster_rcnn,
    keypoint_rcnn,
    mask_rcnn,
    rcnn,
    sliding_window_detector,
)
from delineate.models.two_stage.proposers import SelectiveSearch, SlidingWindow

READERS = (TwoStageReader,)
SEARCHES = (SelectiveSearch, SlidingWindow)

__all__ = [
    "READERS",
    "SEARCHES",
    "TwoStageDetector",
    "fast_rcnn",
    "faster_rcnn",
    "keypoint_rcnn",
    "mask_rcnn",
    "rcnn",
    "sliding_window_detector",
]
