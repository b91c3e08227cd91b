"""The stages of the region pipeline put together: each option exchanges one of them."""

from typing import Literal

from delineate.models.two_stage.detector import RegionDetector, Sampling
from delineate.models.two_stage.heads.box import BoxHead, CropHead, FeatureHead
from delineate.models.two_stage.heads.keypoint import KeypointHead
from delineate.models.two_stage.heads.mask import MaskHead
from delineate.models.two_stage.proposers.contract import Proposer, SelectiveSearch, SlidingWindow
from delineate.models.two_stage.proposers.rpn import RPN
from delineate.models.two_stage.roi_features import RoIAlign, RoIFeatures, RoIPool, RoIWarp
from delineate.nn.backbones import Backbone, timm_backbone
from delineate.nn.pyramids import FPN, Pyramid, SingleLevel
from delineate.values import InputError

CONTEXT = 16 / 227
"""The share of a warped crop's side that is context, on each side (Girshick et al. 2014, R-CNN, appendix A)."""
NUM_ANCHOR_SIZES = 5
BOX_SIZE, OBJECT_SIZE = 7, 14
"""Sides of the features that box heads, and mask and keypoint heads, look at."""


def region_detector(
    *,
    num_classes: int,
    backbone: str,
    proposer: Literal["sliding_window", "selective_search", "rpn"],
    roi: Literal["warp", "pool", "align"],
    fpn: bool,
    sampling: Sampling,
    classifier: Literal["softmax", "svm"] = "softmax",
    width: int = 256,
    anchor_size: int = 32,
    max_proposals: int = 2000,
    warp_size: int = 224,
    frozen_norm: bool = False,
    masks: bool = False,
    num_keypoints: int = 0,
) -> RegionDetector:
    """A detector of these stages; raises `InputError` for stages that do not fit each other."""
    shared = proposer == "rpn" or roi != "warp"
    if fpn and not shared:
        raise InputError(
            f"fpn: with --proposer {proposer} and --roi warp every box is a picture of its own, and there are no "
            "feature maps to make a pyramid of; add --no-fpn, or --roi pool or align"
        )
    if roi == "warp" and (masks or num_keypoints):
        raise InputError("roi: masks and keypoints are read from feature maps; choose --roi pool or align")
    pyramid = _pyramid(backbone, fpn, width) if shared else None
    if frozen_norm and pyramid is not None:
        pyramid.backbone.freeze_norms()
    detector = RegionDetector(
        num_classes=num_classes,
        pyramid=pyramid,
        proposer=_proposer(proposer, pyramid, anchor_size, max_proposals),
        roi_features=_roi_features(roi, pyramid, BOX_SIZE, warp_size),
        box_head=_box_head(roi, pyramid, backbone, num_classes, width, frozen_norm),
        sampling=sampling,
        classifier=classifier,
    )
    if masks:
        assert pyramid is not None
        detector.mask_features = _roi_features(roi, pyramid, OBJECT_SIZE, warp_size)
        detector.mask_head = MaskHead(channels=pyramid.channels, num_classes=num_classes, width=width)
    if num_keypoints:
        assert pyramid is not None
        detector.keypoint_features = _roi_features(roi, pyramid, OBJECT_SIZE, warp_size)
        detector.keypoint_head = KeypointHead(channels=pyramid.channels, num_keypoints=num_keypoints, width=2 * width)
    return detector


def _pyramid(backbone: str, fpn: bool, width: int) -> Pyramid:
    return FPN(timm_backbone(backbone), width) if fpn else SingleLevel(timm_backbone(backbone, deepest_stride=16))


def _proposer(name: str, pyramid: Pyramid | None, anchor_size: int, max_proposals: int) -> Proposer:
    sizes = [float(anchor_size * 2**i) for i in range(NUM_ANCHOR_SIZES)]
    if name == "selective_search":
        return SelectiveSearch(max_proposals=max_proposals)
    if name == "sliding_window":
        return SlidingWindow(scales=sizes[:4], aspect_ratios=(0.5, 1.0, 2.0))
    assert pyramid is not None
    per_level = [sizes] if len(pyramid.strides) == 1 else [[size] for size in sizes]
    return RPN(channels=pyramid.channels, finest_stride=pyramid.strides[0], sizes=per_level)


def _roi_features(roi: str, pyramid: Pyramid | None, size: int, warp_size: int) -> RoIFeatures:
    if roi == "warp":
        return RoIWarp(size=warp_size, context=round(CONTEXT * warp_size))
    assert pyramid is not None
    strides = pyramid.strides[:4]  # the pyramid's level of stride 64 is for the RPN alone
    return RoIPool(size=size, strides=strides) if roi == "pool" else RoIAlign(size=size, strides=strides)


def _box_head(
    roi: str, pyramid: Pyramid | None, backbone: str, num_classes: int, width: int, frozen_norm: bool
) -> BoxHead:
    if roi != "warp":
        assert pyramid is not None
        return FeatureHead(channels=pyramid.channels, size=BOX_SIZE, num_classes=num_classes, width=4 * width)
    own: Backbone = timm_backbone(backbone)
    if frozen_norm:
        own.freeze_norms()
    return CropHead(backbone=own, num_classes=num_classes)
