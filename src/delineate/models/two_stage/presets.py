"""The landmark two-stage systems differ from each other in one stage after another.

sliding window   windows of every scale ─► RoIWarp ─► the classifier's own network ─► classes ─► NMS
R-CNN            selective search ─► RoIWarp ─► a network over each crop ─► linear SVMs, box regression ─► NMS
Fast R-CNN       backbone once a picture ─► proposals pooled from its map ─► softmax and boxes at once ─► NMS
Faster R-CNN     backbone once a picture ─┬─► RPN ─► proposals
                                          └─► RoI features of the proposals ─► softmax and boxes ─► NMS
Mask R-CNN       Faster R-CNN ─► boxes ─► RoIAlign ─► mask head: one mask of 28 x 28 a class ─► pasted
Keypoint R-CNN   Faster R-CNN ─► boxes ─► RoIAlign ─► keypoint head: one heatmap of 56 x 56 a keypoint

Here is only what each names as its own. The pipeline is in detector.py; what proposes in proposers/rpn.py,
proposers/selective_search.py and proposers/sliding_window.py; what a head sees of a box in rois.py; the heads in
heads/box.py, heads/mask.py and heads/keypoint.py, R-CNN's classifiers in svm.py.

Of boxes that overlap by more than 0.3 the best is kept, as in R-CNN's, Fast's and Faster R-CNN's released code; with a
pyramid, masks or keypoints, 0.5, as in Detectron and torchvision.

Where those with features deviate: smooth L1 with its corner at 1/9 (of RoIs: of deltas weighted 10, 10, 5, 5), joint
training, two linear layers of 1024, a pyramid whose fifth level is for the RPN alone, all as in torchvision and
Detectron; the default backbone is ResNet-18. Background is drawn as in Fast R-CNN's paper, from IoUs of 0.1 on, by the
later ones, too, where torchvision draws any: a box beside an object is then learned to be none, and there are fewer
duplicates (docs/results.md).
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypedDict

from typing_extensions import Doc, Unpack

from delineate.models.options import Default, FrozenNorm, filled
from delineate.models.two_stage.detector import Sampling, TwoStageDetector
from delineate.models.two_stage.heads.box import BoxSource, CropHead, FeatureHead
from delineate.models.two_stage.heads.keypoint import KeypointHead
from delineate.models.two_stage.heads.mask import MaskHead
from delineate.models.two_stage.proposers import RPN, Selection, SelectiveSearch, SlidingWindow
from delineate.models.two_stage.rois import PooledFeatures, RoIAlign, RoIPool, RoIWarp
from delineate.nn.backbones import timm_backbone
from delineate.nn.pyramids import FPN, SingleLevel
from delineate.values import InputError, Thresholds

CONTEXT = 16 / 227
"""The share of a warped crop's side that is context, on each side (Girshick et al. 2014, R-CNN, appendix A)."""
ANCHORS, ANCHORS_OF_ONE_LEVEL = (5, 32), (3, 128)
"""So many sizes, each twice the one before, and the smallest in pixels (Lin et al. 2017, FPN; Ren et al. 2015)."""
VOC_NMS, COCO_NMS = 0.3, 0.5
"""The overlap that NMS allows: `imdb_eval_voc.m` and py-faster-rcnn's `TEST.NMS`, and Detectron's."""
FC_DROPOUT = 0.5
"""VGG-16's fc6 and fc7 have it, in Fast and Faster R-CNN, too."""
NEARLY = (0.1, 0.5)
"""IoUs with an object of the background that is hard to tell from one (Girshick 2015, Fast R-CNN, section 2.3)."""
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
Width = Annotated[
    int, Doc("Channels of pyramid and mask head; fully connected layers have 4 times, keypoint heads twice as many.")
]
NumRoIs = Annotated[int, Doc("Boxes of a picture that a step learns from; fewer are faster, and learn less from each.")]
WarpSize = Annotated[int, Doc("Side in pixels of the warped crops.")]
AnchorSize = Annotated[
    int | None,
    Doc(
        "Side of the smallest anchors in pixels, each next one twice as large; if not given, 32, and five sizes, or "
        "without a pyramid 128, and three."
    ),
]


class Backboned(TypedDict, total=False):
    """Every two-stage system has these options."""

    backbone: Annotated[
        str,
        Doc("Any timm model with feature maps (resnet18, resnet50, convnext_tiny, vgg16 ...)."),
        Default("resnet18"),
    ]
    frozen_norm: Annotated[FrozenNorm, Default(False)]


class Proposed(Backboned, total=False):
    """Systems with proposers have these options."""

    max_proposals: Annotated[int, Doc("The most proposals of a picture that selective search gives."), Default(2000)]
    anchor_size: Annotated[AnchorSize, Default(None)]


class Searched(Proposed, total=False):
    """Systems whose proposals are searched have these options."""

    proposer: Annotated[ProposerName, Default("selective_search")]
    warp_size: Annotated[WarpSize, Default(224)]


class Learned(Proposed, total=False):
    """Systems whose proposals are learned have these options."""

    width: Annotated[Width, Default(256)]
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

    Proposals improve on it: the pictures are not looked at to choose where to look (proposers/sliding_window.py). Its
    classifier is R-CNN's head (`CropHead` in heads/box.py), and corrects each box, too: one stage is exchanged at a
    time.
    """
    return two_stage(
        num_classes=num_classes,
        proposer="sliding_window",
        roi="warp",
        fpn=False,
        warp_size=warp_size,
        anchor_size=anchor_size,
        sampling=Sampling(num_rois=num_rois),
        nms_iou=VOC_NMS,
        **filled(Backboned, options),
    )


def rcnn(
    *,
    num_classes: int,
    classifier: Classifier = "svm",
    box_regression: Annotated[bool, Doc("Move proposals to where an object seems to be, or leave them there.")] = True,
    num_rois: Annotated[int, Doc("Crops of all pictures of a batch that a step learns from, a quarter objects.")] = 128,
    **options: Unpack[Searched],
) -> TwoStageDetector:
    """Build R-CNN: every proposal is cropped, warped and classified by itself; the paper's crops are of 227 pixels.

    It is trained in the paper's stages: the network is fine-tuned to tell crops apart (softmax, and no boxes), then
    SVMs with hard negatives are fitted to its features, and a ridge regression of the boxes to its last convolutional
    map (svm.py). The paper's rows (table 2) are `--epochs 0 --no-box-regression`, for which the backbone begins with
    weights, then `--no-box-regression`, then all of it. Girshick, Donahue, Darrell, Malik 2014, "Rich feature
    hierarchies for accurate object detection".

    Where it deviates: `timm` backbones with batch norms, the mean of whose last map is the feature, over crops of 224.
    Without SVMs (`--classifier softmax`) boxes are learned by gradients, as in Fast R-CNN.
    The SVMs' features are standardised before they are scaled to norm 20; negatives are mined in whole passes over the
    pictures; margins become scores through a sigmoid, which keeps their order. How selective search deviates is said in
    ops/search/selective_search.py.
    """
    return two_stage(
        num_classes=num_classes,
        sampling=Sampling(num_rois=num_rois, together=True),  # section 2.3: background is whatever is not an object
        roi="warp",
        fpn=False,
        classifier=classifier,
        box_regression=box_regression,
        nms_iou=VOC_NMS,
        **filled(Searched, options),
    )


def fast_rcnn(
    *,
    num_classes: int,
    roi: RoIName = "pool",
    classifier: Classifier = "softmax",
    fpn: Pyramidal = False,
    width: Width = 256,
    num_rois: NumRoIs = 64,
    **options: Unpack[Searched],
) -> TwoStageDetector:
    """Build Fast R-CNN; the paper's backbone is `vgg16`, whose fully connected layers are 4096 wide (`--width 1024`).

    With a VGG and without a pyramid these layers have the paper's dropout.

    It exchanges R-CNN's crops of pixels for crops of features (`RoIPool` in rois.py), and three stages of training for
    one loss (detector.py). Girshick 2015, "Fast R-CNN".
    """
    return _near(
        num_classes,
        {**filled(Searched, options), "num_rois": num_rois, "fpn": fpn},
        roi=roi,
        classifier=classifier,
        width=width,
        nms_iou=COCO_NMS if fpn else VOC_NMS,
    )


def faster_rcnn(
    *,
    num_classes: int,
    classifier: Classifier = "softmax",
    warp_size: WarpSize = 224,
    **options: Unpack[Learned],
) -> TwoStageDetector:
    """Build Faster R-CNN; the paper's is `--backbone vgg16 --no-fpn --roi pool`.

    It exchanges selective search for a network that looks at the features which are there anyway (proposers/rpn.py);
    both are trained jointly, by the sum of four losses. Ren, He, Girshick, Sun 2015, "Faster R-CNN"; with a pyramid
    (nn/pyramids.py): Lin et al. 2017, "FPN".

    Where it deviates: with `--no-fpn` the backbone ends at stride 16, before two linear layers, and not before ResNet's
    fifth stage as a head: the same head for every backbone. There the RPN is the paper's: three sizes of anchors, none
    of which is learned from where it crosses the picture's border, and 300 proposals in use. With a pyramid it is
    torchvision's and Detectron's: five sizes, anchors across the border learn, too, and there are 1,000.
    """
    given = filled(Learned, options)
    nms_iou = COCO_NMS if given["fpn"] else VOC_NMS
    return _near(num_classes, given, classifier=classifier, warp_size=warp_size, nms_iou=nms_iou)


def mask_rcnn(*, num_classes: int, **options: Unpack[Learned]) -> TwoStageDetector:
    """Build Mask R-CNN; the paper's backbones are `resnet50` and `resnet101`.

    It adds to Faster R-CNN a third head (heads/mask.py: its layers and its loss), and RoI features that are
    not rounded to the cells of the map (`RoIAlign` in rois.py). Masks are looked for in the boxes that NMS leaves
    (`extend` in detector.py), and pasted into the picture as run lengths (ops/pasting.py). He, Gkioxari, Dollar,
    Girshick 2017, "Mask R-CNN".
    """
    return _near(num_classes, filled(Learned, options), masks=True)


def keypoint_rcnn(
    *,
    num_classes: int,
    num_keypoints: int,
    masks: Annotated[bool, Doc("Look for the mask of each object, too.")] = False,
    **options: Unpack[Learned],
) -> TwoStageDetector:
    """Build Keypoint R-CNN, for whatever keypoints the data has; the paper's backbones are `resnet50` and `resnet101`.

    A keypoint is a mask of one pixel (heads/keypoint.py, ops/keypoints.py). With `masks` the mask head comes along. He
    et al. 2017, "Mask R-CNN", section 5.
    """
    return _near(num_classes, filled(Learned, options), masks=masks, num_keypoints=num_keypoints)


def _near(num_classes: int, options: dict[str, Any], **further: Any) -> TwoStageDetector:
    """Build a detector whose background is near objects."""
    sampling = Sampling(num_rois=options.pop("num_rois"), background_iou=NEARLY)
    return two_stage(num_classes=num_classes, sampling=sampling, **options, **further)


def two_stage(
    *,
    num_classes: int,
    backbone: str,
    proposer: ProposerName,
    roi: RoIName,
    fpn: bool,
    sampling: Sampling,
    nms_iou: float = COCO_NMS,
    classifier: Classifier = "softmax",
    box_regression: bool = True,
    width: int = 256,
    anchor_size: int | None = None,
    max_proposals: int = 2000,
    warp_size: int = 224,
    frozen_norm: bool = False,
    masks: bool = False,
    num_keypoints: int = 0,
) -> TwoStageDetector:
    """Build a detector of these stages; raises `InputError` for stages that do not fit each other."""
    warped, shared = roi == "warp", proposer == "rpn" or roi != "warp"
    if fpn and not shared:
        raise InputError(
            f"fpn: with --proposer {proposer} and --roi warp every box is a picture of its own, and there are no "
            "feature maps to make a pyramid of; add --no-fpn, or --roi pool or align"
        )
    if warped and (masks or num_keypoints):
        raise InputError("roi: masks and keypoints are read from feature maps; choose --roi pool or align")
    pyramid, channels = None, 0
    strides: tuple[int, ...] = ()
    if shared:
        ends = None if fpn else 16
        body = timm_backbone(backbone, deepest_stride=ends, frozen_norm=frozen_norm)
        pyramid = FPN(body, width) if fpn else SingleLevel(body)
        channels, strides = pyramid.channels, pyramid.strides
    boxes_from: BoxSource = "none" if not box_regression else "map" if classifier == "svm" else "features"
    return TwoStageDetector(
        num_classes=num_classes,
        pyramid=pyramid,
        proposer=_proposer(proposer, channels, strides, anchor_size, max_proposals),
        roi_features=RoIWarp(size=warp_size, context=round(CONTEXT * warp_size))
        if warped
        else _pooled(roi, BOX_SIZE, strides),
        box_head=CropHead(
            backbone=timm_backbone(backbone, frozen_norm=frozen_norm), num_classes=num_classes, boxes_from=boxes_from
        )
        if warped
        else FeatureHead(
            channels=channels,
            size=BOX_SIZE,
            num_classes=num_classes,
            width=4 * width,
            dropout=FC_DROPOUT if backbone.startswith("vgg") and not fpn else 0.0,
            boxes_from=boxes_from,
        ),
        object_features=_pooled(roi, OBJECT_SIZE, strides) if masks or num_keypoints else None,
        mask_head=MaskHead(channels=channels, num_classes=num_classes, width=width) if masks else None,
        keypoint_head=KeypointHead(channels=channels, num_keypoints=num_keypoints, width=2 * width)
        if num_keypoints
        else None,
        sampling=sampling,
        classifier=classifier,
        thresholds=Thresholds(nms_iou=nms_iou),
    )


def _proposer(
    name: ProposerName, channels: int, strides: Sequence[int], anchor_size: int | None, max_proposals: int
) -> RPN | SelectiveSearch | SlidingWindow:
    if name == "selective_search":
        return SelectiveSearch(max_proposals=max_proposals)
    alone = name == "rpn" and len(strides) == 1
    count, smallest = ANCHORS_OF_ONE_LEVEL if alone else ANCHORS
    sizes = [float((anchor_size or smallest) * 2**i) for i in range(count)]
    if name == "sliding_window":
        return SlidingWindow(scales=sizes[:4], aspect_ratios=(0.5, 1.0, 2.0))
    if not alone:
        return RPN(channels=channels, finest_stride=strides[0], sizes=[[size] for size in sizes])
    # as py-faster-rcnn's `config.py` and `anchor_target_layer.py` have it
    training, testing = Selection(12_000, 2000), Selection(6000, 300)
    return RPN(
        channels=channels,
        finest_stride=strides[0],
        sizes=[sizes],
        training=training,
        testing=testing,
        crossing=False,
    )


def _pooled(roi: RoIName, size: int, strides: Sequence[int]) -> PooledFeatures:
    kind = RoIPool if roi == "pool" else RoIAlign
    return kind(size=size, strides=strides[:4])  # the pyramid's level of stride 64 is for the RPN alone
