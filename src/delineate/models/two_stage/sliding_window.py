"""Detection by a sliding window: a classifier looks at every place, size and shape, one crop at a time.

    windows of every scale ─► RoIWarp ─► the classifier's own network ─► classes ─► NMS

What the lecture begins with, and what proposals save: the pictures are not looked at to choose where to look. The
classifier is the head of R-CNN; each box is corrected by it, too.
"""

from typing import Annotated

from typing_extensions import Doc

from delineate.models.two_stage.detector import RegionDetector, Sampling
from delineate.models.two_stage.options import Backbone, FrozenNorm, NumRoIs, WarpSize
from delineate.models.two_stage.pipeline import region_detector


def sliding_window_detector(
    *,
    num_classes: int,
    backbone: Backbone = "resnet18",
    warp_size: WarpSize = 64,
    anchor_size: Annotated[
        int, Doc("Side of the smallest windows in pixels; each of three more is twice as large.")
    ] = 32,
    num_rois: NumRoIs = 64,
    frozen_norm: FrozenNorm = False,
) -> RegionDetector:
    """A crop classifier at windows of four sizes and three aspect ratios, a quarter of their side apart."""
    return region_detector(
        num_classes=num_classes,
        backbone=backbone,
        proposer="sliding_window",
        roi="warp",
        fpn=False,
        warp_size=warp_size,
        anchor_size=anchor_size,
        frozen_norm=frozen_norm,
        sampling=Sampling(num_rois=num_rois),
    )
