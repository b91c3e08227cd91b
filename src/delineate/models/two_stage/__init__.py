"""Region-based systems: proposer -> RoI features -> heads."""

from delineate.models.two_stage.detector import RegionDetector
from delineate.models.two_stage.fast_rcnn import fast_rcnn
from delineate.models.two_stage.faster_rcnn import faster_rcnn
from delineate.models.two_stage.keypoint_rcnn import keypoint_rcnn
from delineate.models.two_stage.mask_rcnn import mask_rcnn
from delineate.models.two_stage.rcnn import rcnn
from delineate.models.two_stage.sliding_window import sliding_window_detector

__all__ = [
    "RegionDetector",
    "fast_rcnn",
    "faster_rcnn",
    "keypoint_rcnn",
    "mask_rcnn",
    "rcnn",
    "sliding_window_detector",
]
