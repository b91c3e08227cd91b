"""Region-based systems: proposer -> RoI features -> heads."""

from delineate.models.region.detector import RegionDetector
from delineate.models.region.fast_rcnn import fast_rcnn
from delineate.models.region.faster_rcnn import faster_rcnn
from delineate.models.region.keypoint_rcnn import keypoint_rcnn
from delineate.models.region.mask_rcnn import mask_rcnn
from delineate.models.region.rcnn import rcnn
from delineate.models.region.sliding_window import sliding_window_detector

__all__ = [
    "RegionDetector",
    "fast_rcnn",
    "faster_rcnn",
    "keypoint_rcnn",
    "mask_rcnn",
    "rcnn",
    "sliding_window_detector",
]
