"""Mask R-CNN: He, Gkioxari, Dollar, Girshick 2017, "Mask R-CNN".

    Faster R-CNN ─► found boxes ─► RoIAlign ─► mask head: one mask of 28 x 28 a class ─► pasted into the picture

What it adds to Faster R-CNN: a third head, and RoI features that are not rounded to the cells of the map.
"""

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


def mask_rcnn(
    *,
    num_classes: int,
    backbone: Backbone = "resnet18",
    fpn: Pyramidal = True,
    roi: RoIName = "align",
    proposer: ProposerName = "rpn",
    width: Width = 256,
    anchor_size: AnchorSize = 32,
    max_proposals: MaxProposals = 2000,
    num_rois: NumRoIs = 512,
    frozen_norm: FrozenNorm = False,
) -> RegionDetector:
    """Mask R-CNN; the paper's backbones are `resnet50` and `resnet101`."""
    return region_detector(
        num_classes=num_classes,
        backbone=backbone,
        proposer=proposer,
        roi=roi,
        fpn=fpn,
        width=width,
        anchor_size=anchor_size,
        max_proposals=max_proposals,
        frozen_norm=frozen_norm,
        masks=True,
        sampling=Sampling(num_rois=num_rois),
    )
