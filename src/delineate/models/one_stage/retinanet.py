"""RetinaNet: Lin, Goyal, Girshick, He, Dollar 2017, "Focal loss for dense object detection".

    level ─┬─► 3x3 x 4 ─► 3x3 ─► logits: a sigmoid for each class of each anchor ─┐
           └─► 3x3 x 4 ─► 3x3 ─► deltas of each anchor ───────────────────────────┴─► NMS
    levels: strides 8 to 128 of a pyramid, all with the same heads

B  pictures    C  classes    A  anchors a place    n  anchors of a level, row by row    N  anchors of all levels

Where it deviates: losses are divided by the positives of each picture and averaged over pictures, and boxes have L1, as
in torchvision, where the paper divides by those of the batch and has smooth L1; the default backbone is ResNet-18.
`--improved` is torchvision's second form (Zhang et al. 2020, ATSS, table 1): group norm in the heads, boxes by
generalized IoU, and level 6 from the backbone's last map. Objects that are crowds make no negatives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss
from typing_extensions import Doc

from delineate.models.capacity import Capacity, capacity_of_anchors
from delineate.models.contract import Inputs, Model, Rows
from delineate.models.naming import Named
from delineate.models.one_stage.options import BackboneName, HeadChannels
from delineate.models.one_stage.pyramid_heads import PRIOR, LevelReader, by_box, grids, last, tower
from delineate.models.options import FrozenNorm
from delineate.nn.backbones import timm_backbone
from delineate.nn.matching import match
from delineate.nn.pyramids import FPN, Pyramid
from delineate.ops.anchors import base_anchors, grid_anchors
from delineate.ops.boxes import decode_boxes, encode_boxes
from delineate.values import Thresholds, Truth

POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.4
WEIGHTS = (1.0, 1.0, 1.0, 1.0)
STRIDES, NUM_FURTHER = (8, 16, 32), 2
ASPECT_RATIOS = (0.5, 1.0, 2.0)
THRESHOLDS = Thresholds(score=0.05, nms_iou=0.5, max_candidates=1000, max_detections=100)
BoxLoss = Literal["l1", "giou"]


class RetinaNetRaw(NamedTuple):
    """The network gives, level by level, logits and deltas of each anchor; the anchors are in pixels."""

    logits: tuple[Float[Tensor, "b _n c"], ...]
    deltas: tuple[Float[Tensor, "b _n 4"], ...]
    anchors: tuple[Float[Tensor, "_n 4"], ...]


@dataclass(frozen=True, kw_only=True)
class RetinaNetReader(LevelReader[RetinaNetRaw]):
    """Anchors are moved by their deltas."""

    def levels(self, raw: RetinaNetRaw) -> list[tuple[Float[Tensor, "b _n c"], Float[Tensor, "b _n 4"]]]:
        return [
            (logits.float().sigmoid(), decode_boxes(deltas, anchors, WEIGHTS))
            for logits, deltas, anchors in zip(*raw, strict=True)
        ]


class RetinaNet(Model[RetinaNetRaw, Rows]):
    """The network classifies and moves anchors of `sizes[i]` (pixels) in all `ASPECT_RATIOS` at level `i`."""

    def __init__(
        self,
        *,
        pyramid: Pyramid,
        num_classes: int,
        sizes: Sequence[Sequence[float]],
        group_norm: bool,
        box_loss: BoxLoss,
    ) -> None:
        super().__init__()
        self.pyramid, self.num_classes, self.box_loss = pyramid, num_classes, box_loss
        self.sizes = tuple(tuple(level) for level in sizes)
        self.num_anchors = len(self.sizes[0]) * len(ASPECT_RATIOS)
        self.reader = RetinaNetReader(thresholds=THRESHOLDS)
        self.class_tower = tower(pyramid.channels, group_norm=group_norm)
        self.box_tower = tower(pyramid.channels, group_norm=group_norm)
        self.classify = last(pyramid.channels, self.num_anchors * num_classes, prior=PRIOR)
        self.regress = last(pyramid.channels, self.num_anchors * 4)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None
    ) -> RetinaNetRaw:
        levels = self.pyramid(images)
        logits = tuple(by_box(self.classify(self.class_tower(level)), self.num_classes) for level in levels)
        deltas = tuple(by_box(self.regress(self.box_tower(level)), 4) for level in levels)
        anchors = tuple(
            grid_anchors(base_anchors(sizes, ASPECT_RATIOS).to(images.device), grid, stride)
            for sizes, (grid, stride) in zip(self.sizes, grids(levels, self.pyramid.strides[0]), strict=True)
        )
        return RetinaNetRaw(logits, deltas, anchors)

    def named_layers(self) -> Mapping[str, Named]:
        return {"classify": Named([*range(self.num_classes)] * self.num_anchors)}

    def capacity(self, pictures: Sequence[Float[Tensor, "_n 4"]]) -> Capacity:
        return capacity_of_anchors(
            lambda size: torch.cat(self(torch.zeros(1, 3, *size)).anchors), NEGATIVE_IOU, "no anchor overlaps it by 0.4"
        )

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Compute the focal loss of classes (equation 5, alpha 0.25, gamma 2) and the loss of positives' boxes."""
        raw = self(inputs.images)
        logits, deltas = torch.cat(raw.logits, 1).float(), torch.cat(raw.deltas, 1).float()
        anchors = torch.cat(raw.anchors)
        targets = [self._targets(anchors, truth) for truth in truths]
        positive, learned, classes, boxes = (torch.stack(part) for part in zip(*targets, strict=True))
        focal = sigmoid_focal_loss(logits, classes).sum(-1).where(learned, 0.0)
        moved = self._box_losses(deltas, anchors.expand_as(deltas), boxes).where(positive, 0.0)
        counts = positive.sum(1).clamp(min=1)
        return {"class": (focal.sum(1) / counts).mean(), "box": (moved.sum(1) / counts).mean()}

    def _targets(
        self, anchors: Float[Tensor, "n 4"], truth: Truth
    ) -> tuple[Bool[Tensor, " n"], Bool[Tensor, " n"], Float[Tensor, "n c"], Float[Tensor, "n 4"]]:
        """Tell which anchors are positives and which are learned from, and give their classes and boxes.

        The boxes count for positives alone.
        """
        matches = match(anchors, truth, positive_iou=POSITIVE_IOU, negative_iou=(0.0, NEGATIVE_IOU), best_for_each=True)
        learned = matches.positive | matches.negative
        if not truth.labels.shape[0]:
            return matches.positive, learned, anchors.new_zeros(len(anchors), self.num_classes), anchors
        classes = F.one_hot(truth.labels[matches.rows], self.num_classes) * matches.positive[:, None]
        return matches.positive, learned, classes.to(anchors), truth.boxes[matches.rows]

    def _box_losses(
        self, deltas: Float[Tensor, "b n 4"], anchors: Float[Tensor, "b n 4"], boxes: Float[Tensor, "b n 4"]
    ) -> Float[Tensor, "b n"]:
        if self.box_loss == "giou":
            losses: Tensor = generalized_box_iou_loss(decode_boxes(deltas, anchors, WEIGHTS), boxes)
            return losses
        return (deltas - encode_boxes(boxes, anchors, WEIGHTS)).abs().sum(-1)


def retinanet(
    *,
    num_classes: int,
    backbone: BackboneName = "resnet18",
    width: HeadChannels = 256,
    anchor_size: Annotated[
        int,
        Doc("Side in pixels of the smallest of three anchors of the finest level; each level's are twice as large."),
    ] = 32,
    improved: Annotated[
        bool, Doc("Group norm in the heads, boxes by generalized IoU, and level 6 from the backbone's last map.")
    ] = True,
    frozen_norm: FrozenNorm = False,
) -> RetinaNet:
    """Build RetinaNet; the paper's is `--backbone resnet50 --no-improved`."""
    pyramid = FPN(
        timm_backbone(backbone, frozen_norm=frozen_norm),
        width,
        strides=STRIDES,
        further="convolve_backbone" if improved else "convolve_pyramid",
        num_further=NUM_FURTHER,
    )
    sides = [anchor_size * 2**level for level in range(len(STRIDES) + NUM_FURTHER)]
    return RetinaNet(
        pyramid=pyramid,
        num_classes=num_classes,
        sizes=[[float(int(side * 2 ** (third / 3))) for third in range(3)] for side in sides],
        group_norm=improved,
        box_loss="giou" if improved else "l1",
    )
