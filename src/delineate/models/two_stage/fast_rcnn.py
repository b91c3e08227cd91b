"""Fast R-CNN: Girshick 2015, "Fast R-CNN".

    backbone once a picture ─► proposals pooled from its map (RoIPool) ─► softmax and boxes at once ─► NMS

What it exchanges in R-CNN: crops of pixels for crops of features, and three stages of training for one loss.
"""

from delineate.models.two_stage.detector import RegionDetector, Sampling
from delineate.models.two_stage.options import (
    AnchorSize,
    Backbone,
    Classifier,
    FrozenNorm,
    MaxProposals,
    NumRoIs,
    ProposerName,
    Pyramidal,
    RoIName,
    WarpSize,
    Width,
)
from delineate.models.two_stage.pipeline import region_detector


def fast_rcnn(
    *,
    num_classes: int,
    backbone: Backbone = "resnet18",
    proposer: ProposerName = "selective_search",
    roi: RoIName = "pool",
    classifier: Classifier = "softmax",
    fpn: Pyramidal = False,
    width: Width = 256,
    max_proposals: MaxProposals = 2000,
    anchor_size: AnchorSize = 32,
    warp_size: WarpSize = 224,
    num_rois: NumRoIs = 64,
    frozen_norm: FrozenNorm = False,
) -> RegionDetector:
    """Fast R-CNN; the paper's backbone is `vgg16`, whose fully connected layers are 4096 wide (`--width 1024`)."""
    return region_detector(
        num_classes=num_classes,
        backbone=backbone,
        proposer=proposer,
        roi=roi,
        classifier=classifier,
        fpn=fpn,
        width=width,
        max_proposals=max_proposals,
        anchor_size=anchor_size,
        warp_size=warp_size,
        frozen_norm=frozen_norm,
        # section 2.3: 64 RoIs a picture, and the background that is nearly an object is the hard one
        sampling=Sampling(num_rois=num_rois, positive_share=0.25, positive_iou=0.5, background_iou=(0.1, 0.5)),
    )
