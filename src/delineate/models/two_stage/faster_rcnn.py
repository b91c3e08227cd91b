"""Faster R-CNN: Ren, He, Girshick, Sun 2015, "Faster R-CNN"; with a pyramid: Lin et al. 2017, "FPN".

    backbone once a picture ─┬─► RPN ─► proposals
                             └─► RoI features of the proposals ─► softmax and boxes ─► NMS

What it exchanges in Fast R-CNN: selective search for a network that looks at the features which are there anyway. The
RPN and the detector are trained jointly, by the sum of four losses.
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


def faster_rcnn(
    *,
    num_classes: int,
    backbone: Backbone = "resnet18",
    fpn: Pyramidal = True,
    roi: RoIName = "align",
    proposer: ProposerName = "rpn",
    classifier: Classifier = "softmax",
    width: Width = 256,
    anchor_size: AnchorSize = 32,
    max_proposals: MaxProposals = 2000,
    warp_size: WarpSize = 224,
    num_rois: NumRoIs = 512,
    frozen_norm: FrozenNorm = False,
) -> RegionDetector:
    """Faster R-CNN; the paper's is `--backbone vgg16 --no-fpn --roi pool`."""
    return region_detector(
        num_classes=num_classes,
        backbone=backbone,
        proposer=proposer,
        roi=roi,
        classifier=classifier,
        fpn=fpn,
        width=width,
        anchor_size=anchor_size,
        max_proposals=max_proposals,
        warp_size=warp_size,
        frozen_norm=frozen_norm,
        sampling=Sampling(num_rois=num_rois),
    )
