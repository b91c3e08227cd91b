"""R-CNN: Girshick, Donahue, Darrell, Malik 2014, "Rich feature hierarchies for accurate object detection".

    selective search ─► RoIWarp ─► a network over each crop ─► linear SVMs, box regression ─► NMS

Trained in the paper's stages: the network is fine-tuned to tell crops apart (softmax), then SVMs with hard negatives
and a ridge regression of the boxes are fitted to its features (svm.py).
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
    WarpSize,
)
from delineate.models.two_stage.pipeline import region_detector


def rcnn(
    *,
    num_classes: int,
    backbone: Backbone = "resnet18",
    proposer: ProposerName = "selective_search",
    classifier: Classifier = "svm",
    warp_size: WarpSize = 224,
    max_proposals: MaxProposals = 2000,
    anchor_size: AnchorSize = 32,
    num_rois: NumRoIs = 64,
    frozen_norm: FrozenNorm = False,
) -> RegionDetector:
    """R-CNN: every proposal is cropped, warped and classified by itself; the paper's crops are of 227 pixels."""
    return region_detector(
        num_classes=num_classes,
        backbone=backbone,
        proposer=proposer,
        roi="warp",
        fpn=False,
        classifier=classifier,
        warp_size=warp_size,
        max_proposals=max_proposals,
        anchor_size=anchor_size,
        frozen_norm=frozen_norm,
        sampling=Sampling(num_rois=num_rois, positive_share=0.25, positive_iou=0.5, background_iou=(0.0, 0.5)),
    )
