"""The landmark two-stage systems; from each to the next, one stage is exchanged.

sliding window   windows of every scale ─► RoIWarp ─► the classifier's own network ─► classes ─► NMS
R-CNN            selective search ─► RoIWarp ─► a network over each crop ─► linear SVMs, box regression ─► NMS
Fast R-CNN       backbone once a picture ─► proposals pooled from its map ─► softmax and boxes at once ─► NMS
Faster R-CNN     backbone once a picture ─┬─► RPN ─► proposals
                                          └─► RoI features of the proposals ─► softmax and boxes ─► NMS
Mask R-CNN       Faster R-CNN ─► boxes ─► RoIAlign ─► mask head: one mask of 28 x 28 a class ─► pasted
Keypoint R-CNN   Faster R-CNN ─► boxes ─► RoIAlign ─► keypoint head: one heatmap of 56 x 56 a keypoint
"""

from typing import Annotated, Any, Literal, TypedDict

from typing_extensions import Doc, Unpack

from delineate.models.options import Default, filled
from delineate.models.two_stage.detector import Sampling, TwoStageDetector
from delineate.models.two_stage.heads.box import BoxHead, CropHead, FeatureHead
from delineate.models.two_stage.heads.keypoint import KeypointHead
from delineate.models.two_stage.heads.mask import MaskHead
from delineate.models.two_stage.proposers import RPN, SelectiveSearch, SlidingWindow
from delineate.models.two_stage.rois import PooledFeatures, RoIAlign, RoIFeatures, RoIPool, RoIWarp
from delineate.nn.backbones import timm_backbone
from delineate.nn.pyramids import FPN, Pyramid, SingleLevel
from delineate.values import InputError

CONTEXT = 16 / 227
"""The share of a warped crop's side that is context, on each side (Girshick et al. 2014, R-CNN, appendix A)."""
NUM_ANCHOR_SIZES = 5
BOX_SIZE, OBJECT_SIZE = 7, 14
"""Sides of the features that box heads, and mask and keypoint heads, look at."""

ProposerName = Annotated[
    Literal["sliding_window", "selective_search", "rpn"],
    Doc("What proposes the boxes to look at; rpn is a network that is learned."),
]
RoIName = Annotated[
    Literal["warp", "pool", "align"],
    Doc("What the head sees of a box: its pixels, warped, or its features, pooled or aligned."),
]
Classifier = Annotated[
    Literal["softmax", "svm"],
    Doc("How boxes are classified; svm: linear SVMs and box regression, fitted on the features once they are learned."),
]
Pyramidal = Annotated[bool, Doc("Look at a feature pyramid of four levels, or at the map of stride 16 alone.")]
NumRoIs = Annotated[int, Doc("Boxes of a picture that a step learns from; fewer are faster, and learn less from each.")]
WarpSize = Annotated[int, Doc("Side in pixels of the warped crops.")]


class Backboned(TypedDict, total=False):
    """What every two-stage system has."""

    backbone: Annotated[
        str,
        Doc("Any timm model with feature maps (resnet18, resnet50, convnext_tiny, vgg16 ...)."),
        Default("resnet18"),
    ]
    frozen_norm: Annotated[
        bool,
        Doc("Keep the backbone's batch norms as loaded: for pretrained weights and few pictures a step."),
        Default(False),
    ]


class Proposed(Backboned, total=False):
    """Options of proposers."""

    max_proposals: Annotated[int, Doc("The most proposals of a picture that selective search gives."), Default(2000)]
    anchor_size: Annotated[
        int, Doc("Side of the smallest anchors in pixels; each of four more sizes is twice as large."), Default(32)
    ]


class Pooled(Proposed, total=False):
    """Options of heads over features."""

    width: Annotated[
        int,
        Doc("Channels of pyramid and mask head; fully connected layers have 4 times, keypoint heads twice as many."),
        Default(256),
    ]


class Learned(Pooled, total=False):
    """Options of the systems whose proposals are learned, with their usual values."""

    proposer: Annotated[ProposerName, Default("rpn")]
    roi: Annotated[RoIName, Default("align")]
    fpn: Annotated[Pyramidal, Default(True)]
    num_rois: Annotated[NumRoIs, Default(512)]


def sliding_window_detector(
    *,
    num_classes: int,
    warp_size: WarpSize = 64,
    anchor_size: Annotated[
        int, Doc("Side of the smallest windows in pixels; each of three more is twice as large.")
    ] = 32,
    num_rois: NumRoIs = 64,
    **options: Unpack[Backboned],
) -> TwoStageDetector:
    """Build a crop classifier at windows of four sizes and three aspect ratios, a quarter of their side apart.

    Proposals improve on it: the pictures are not looked at to choose where to look. Its classifier is R-CNN's head, and
    corrects each box, too.
    """
    return two_stage(
        num_classes=num_classes,
        proposer="sliding_window",
        roi="warp",
        fpn=False,
        warp_size=warp_size,
        anchor_size=anchor_size,
        sampling=Sampling(num_rois=num_rois),
        **filled(Backboned, options),
    )


def rcnn(
    *,
    num_classes: int,
    proposer: ProposerName = "selective_search",
    classifier: Classifier = "svm",
    warp_size: WarpSize = 224,
    num_rois: NumRoIs = 64,
    **options: Unpack[Proposed],
) -> TwoStageDetector:
    """Build R-CNN: every proposal is cropped, warped and classified by itself; the paper's crops are of 227 pixels.

    It is trained in the paper's stages: the network is fine-tuned to tell crops apart (softmax), then SVMs with hard
    negatives and a ridge regression of the boxes are fitted to its features (svm.py). Girshick, Donahue, Darrell, Malik
    2014, "Rich feature hierarchies for accurate object detection".
    """
    return two_stage(
        num_classes=num_classes,
        proposer=proposer,
        roi="warp",
        fpn=False,
        classifier=classifier,
        warp_size=warp_size,
        sampling=Sampling(num_rois=num_rois),
        **filled(Proposed, options),
    )


def fast_rcnn(
    *,
    num_classes: int,
    proposer: ProposerName = "selective_search",
    roi: RoIName = "pool",
    classifier: Classifier = "softmax",
    fpn: Pyramidal = False,
    warp_size: WarpSize = 224,
    num_rois: NumRoIs = 64,
    **options: Unpack[Pooled],
) -> TwoStageDetector:
    """Build Fast R-CNN; the paper's backbone is `vgg16`, whose fully connected layers are 4096 wide (`--width 1024`).

    It exchanges R-CNN's crops of pixels for crops of features, and three stages of training for one loss. Girshick
    2015, "Fast R-CNN".
    """
    return two_stage(
        num_classes=num_classes,
        proposer=proposer,
        roi=roi,
        classifier=classifier,
        fpn=fpn,
        warp_size=warp_size,
        # section 2.3: 64 RoIs a picture, and the background that is nearly an object is the hard one
        sampling=Sampling(num_rois=num_rois, background_iou=(0.1, 0.5)),
        **filled(Pooled, options),
    )


def faster_rcnn(
    *,
    num_classes: int,
    classifier: Classifier = "softmax",
    warp_size: WarpSize = 224,
    **options: Unpack[Learned],
) -> TwoStageDetector:
    """Build Faster R-CNN; the paper's is `--backbone vgg16 --no-fpn --roi pool`.

    It exchanges selective search for a network that looks at the features which are there anyway; both are trained
    jointly, by the sum of four losses. Ren, He, Girshick, Sun 2015, "Faster R-CNN"; with a pyramid: Lin et al. 2017,
    "FPN".
    """
    return _learned(num_classes, options, classifier=classifier, warp_size=warp_size)


def mask_rcnn(*, num_classes: int, **options: Unpack[Learned]) -> TwoStageDetector:
    """Build Mask R-CNN; the paper's backbones are `resnet50` and `resnet101`.

    It adds to Faster R-CNN a third head, and RoI features that are not rounded to the cells of the map. He, Gkioxari,
    Dollar, Girshick 2017, "Mask R-CNN".
    """
    return _learned(num_classes, options, masks=True)


def keypoint_rcnn(
    *,
    num_classes: int,
    num_keypoints: int,
    masks: Annotated[bool, Doc("Look for the mask of each object, too.")] = False,
    **options: Unpack[Learned],
) -> TwoStageDetector:
    """Build Keypoint R-CNN, for whatever keypoints the data has; the paper's backbones are `resnet50` and `resnet101`.

    A keypoint is a mask of one pixel. With `masks` the mask head comes along. He et al. 2017, "Mask R-CNN", section 5.
    """
    return _learned(num_classes, options, masks=masks, num_keypoints=num_keypoints)


def _learned(num_classes: int, options: Learned, **further: Any) -> TwoStageDetector:
    complete = filled(Learned, options)
    sampling = Sampling(num_rois=complete.pop("num_rois"))
    return two_stage(num_classes=num_classes, sampling=sampling, **complete, **further)


def two_stage(
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
) -> TwoStageDetector:
    """Build a detector of these stages; raises `InputError` for stages that do not fit each other."""
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
    detector = TwoStageDetector(
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
        detector.mask_features = _pooled(roi, pyramid, OBJECT_SIZE)
        detector.mask_head = MaskHead(channels=pyramid.channels, num_classes=num_classes, width=width)
    if num_keypoints:
        assert pyramid is not None
        detector.keypoint_features = _pooled(roi, pyramid, OBJECT_SIZE)
        detector.keypoint_head = KeypointHead(channels=pyramid.channels, num_keypoints=num_keypoints, width=2 * width)
    return detector


def _pyramid(backbone: str, fpn: bool, width: int) -> Pyramid:
    return FPN(timm_backbone(backbone), width) if fpn else SingleLevel(timm_backbone(backbone, deepest_stride=16))


def _proposer(
    name: str, pyramid: Pyramid | None, anchor_size: int, max_proposals: int
) -> RPN | SelectiveSearch | SlidingWindow:
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
    return _pooled(roi, pyramid, size)


def _pooled(roi: str, pyramid: Pyramid, size: int) -> PooledFeatures:
    strides = pyramid.strides[:4]  # the pyramid's level of stride 64 is for the RPN alone
    return RoIPool(size=size, strides=strides) if roi == "pool" else RoIAlign(size=size, strides=strides)


def _box_head(
    roi: str, pyramid: Pyramid | None, backbone: str, num_classes: int, width: int, frozen_norm: bool
) -> BoxHead:
    if roi != "warp":
        assert pyramid is not None
        return FeatureHead(channels=pyramid.channels, size=BOX_SIZE, num_classes=num_classes, width=4 * width)
    own = timm_backbone(backbone)
    if frozen_norm:
        own.freeze_norms()
    return CropHead(backbone=own, num_classes=num_classes)
