"""Keypoint R-CNN: He, Gkioxari, Dollar, Girshick 2017, "Mask R-CNN", section 5.

    Faster R-CNN ─► found boxes ─► RoIAlign ─► keypoint head: one heatmap of 56 x 56 a keypoint ─► its highest place

A keypoint is a mask of one pixel. With `masks` the mask head comes along: boxes, masks and poses in one pass.
"""

from typing import Annotated

from typing_extensions import Doc

from delineate.models.two_stage.detector import RegionDetector, Sampling
from delineate.models.two_stage.options import (
    AnchorSize,
    Backbone,
    FrozenNorm,
    MaxProposals,
    NumRoIs,
    ProposerName,
    Pyramidal,
    RoIName,
    Width,
)
from delineate.models.two_stage.pipeline import region_detector


def keypoint_rcnn(
    *,
    num_classes: int,
    num_keypoints: int,
    backbone: Backbone = "resnet18",
    masks: Annotated[bool, Doc("Look for the mask of each object, too.")] = False,
    fpn: Pyramidal = True,
    roi: RoIName = "align",
    proposer: ProposerName = "rpn",
    width: Width = 256,
    anchor_size: AnchorSize = 32,
    max_proposals: MaxProposals = 2000,
    num_rois: NumRoIs = 512,
    frozen_norm: FrozenNorm = False,
) -> RegionDetector:
    """Keypoint R-CNN, for whatever keypoints the data has; the paper's backbones are `resnet50` and `resnet101`."""
    return region_detector(
        num_classes=num_classes,
        num_keypoints=num_keypoints,
        backbone=backbone,
        proposer=proposer,
        roi=roi,
        fpn=fpn,
        width=width,
        anchor_size=anchor_size,
        max_proposals=max_proposals,
        frozen_norm=frozen_norm,
        masks=masks,
        sampling=Sampling(num_rois=num_rois),
    )
