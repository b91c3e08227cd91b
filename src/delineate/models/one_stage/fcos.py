"""FCOS: Tian, Shen, Chen, He 2019, "FCOS: fully convolutional one-stage object detection".

    level ─┬─► 3x3 x 4 ─► 3x3 ─► logits: a sigmoid for each class of each place ──┐
           └─► 3x3 x 4 ─┬─► 3x3 ─► distances of the place to four sides ──────────┼─► NMS
                        └─► 3x3 ─► centre-ness: how near the middle of its object ┘
    levels: strides 8 to 128 of a pyramid, all with the same heads; no anchors

B  pictures    C  classes    n  places of a level, row by row    N  places of all levels    G  objects of a picture

Where it deviates, as torchvision does: places stand at the corners of the cells, not in their middle; distances are
ReLUs times the stride, where the paper has exponentials; centre-ness is on the branch of boxes, boxes have the
generalized IoU, only what is near an object's middle learns it, and a score is the root of the product, as in the
authors' later journal paper. The default backbone is ResNet-18. Places in crowds make no negatives.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from delineate.models.capacity import Capacity, Objects
from delineate.models.contract import Inputs, Model, Rows
from delineate.models.naming import Named
from delineate.models.one_stage.options import BackboneName, HeadChannels
from delineate.models.one_stage.pyramid_heads import PRIOR, LevelReader, by_box, grids, last, tower
from delineate.models.options import FrozenNorm
from delineate.nn.backbones import timm_backbone
from delineate.nn.pyramids import FPN, Pyramid
from delineate.ops.anchors import grid_anchors
from delineate.values import Thresholds, Truth

STRIDES, NUM_FURTHER = (8, 16, 32), 2
RADIUS = 1.5
"""A place learns an object whose middle is nearer than this, in strides (the journal paper's centre sampling)."""
SMALLEST, LARGEST = 4, 8
"""A level has the objects whose farthest side is so many strides away (section 3.2), the first and last also others."""
THRESHOLDS = Thresholds(score=0.05, nms_iou=0.6, max_candidates=1000, max_detections=100)


class FCOSRaw(NamedTuple):
    """The network gives, level by level, logits, distances and centre-ness of each place `(x, y)`, and its stride."""

    logits: tuple[Float[Tensor, "b _n c"], ...]
    distances: tuple[Float[Tensor, "b _n 4"], ...]
    centreness: tuple[Float[Tensor, "b _n"], ...]
    places: tuple[Float[Tensor, "_n 2"], ...]


@dataclass(frozen=True, kw_only=True)
class FCOSReader(LevelReader[FCOSRaw]):
    """Scores of classes are lowered far from an object's middle (section 3.3)."""

    def levels(self, raw: FCOSRaw) -> list[tuple[Float[Tensor, "b _n c"], Float[Tensor, "b _n 4"]]]:
        return [
            (
                (logits.float().sigmoid() * centreness.float().sigmoid()[..., None]).sqrt(),
                boxes_around(places, distances.float()),
            )
            for logits, distances, centreness, places in zip(*raw, strict=True)
        ]


class FCOS(Model[FCOSRaw, Rows]):
    """Each place of a level of `pyramid` says which object it is in, and how far that object's sides are."""

    def __init__(self, *, pyramid: Pyramid, num_classes: int) -> None:
        super().__init__()
        self.pyramid, self.num_classes = pyramid, num_classes
        self.reader = FCOSReader(thresholds=THRESHOLDS)
        self.class_tower = tower(pyramid.channels, group_norm=True)
        self.box_tower = tower(pyramid.channels, group_norm=True)
        self.classify = last(pyramid.channels, num_classes, prior=PRIOR)
        self.regress = last(pyramid.channels, 4)
        self.centre = last(pyramid.channels, 1)

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> FCOSRaw:
        levels = self.pyramid(images)
        logits = tuple(by_box(self.classify(self.class_tower(level)), self.num_classes) for level in levels)
        hidden = [self.box_tower(level) for level in levels]
        distances = tuple(
            by_box(F.relu(self.regress(x)), 4) * stride for x, stride in zip(hidden, self.pyramid.strides, strict=True)
        )
        centreness = tuple(by_box(self.centre(x), 1)[..., 0] for x in hidden)
        corner = torch.zeros(1, 4, device=images.device)
        places = tuple(
            grid_anchors(corner, grid, stride)[:, :2] for grid, stride in grids(levels, self.pyramid.strides[0])
        )
        return FCOSRaw(logits, distances, centreness, places)

    def named_layers(self) -> Mapping[str, Named]:
        return {"classify": Named(range(self.num_classes))}

    def capacity(self, pictures: Sequence[Float[Tensor, "_n 4"]]) -> Capacity:
        @cache
        @torch.inference_mode()
        def of_size(size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            places = self(torch.zeros(1, 3, *size)).places
            return torch.cat(places), *self.ranges(places)

        def lost(objects: Objects, size: tuple[int, int]) -> Bool[Tensor, " _g"]:
            labels = torch.zeros(len(objects), dtype=torch.int64)
            rows, _ = assign(*of_size(size), Truth(size, objects, labels, objects[:0]))
            return ~torch.isin(torch.arange(len(objects)), rows)

        return Capacity(lost, "no place within it is of its size and its own")

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Add up equation 2 and the binary cross-entropy of centre-ness (equation 3), by the number of positives."""
        raw = self(inputs.images)
        logits, distances, centreness = (torch.cat(part, 1).float() for part in raw[:3])
        places, ranges = torch.cat(raw.places), self.ranges(raw.places)
        rows, learned = (torch.stack(part) for part in zip(*(assign(places, *ranges, t) for t in truths), strict=True))
        positive = rows >= 0
        count = positive.sum().clamp(min=1)
        labels, boxes = (torch.stack(part) for part in zip(*map(_of_rows, rows, truths), strict=True))
        classes = F.one_hot(labels, self.num_classes).float() * positive[..., None]
        focal = sigmoid_focal_loss(logits, classes).sum(-1)
        overlap = generalized_box_iou_loss(boxes_around(places, distances), boxes)
        sides = torch.cat([places - boxes[..., :2], boxes[..., 2:] - places], -1)
        middle = nearness(sides.where(positive[..., None], 1.0))
        centre = F.binary_cross_entropy_with_logits(centreness, middle, reduction="none")
        return {
            "class": focal.where(learned, 0.0).sum() / count,
            "box": overlap.where(positive, 0.0).sum() / count,
            "centre": centre.where(positive, 0.0).sum() / count,
        }

    def ranges(self, places: Sequence[Tensor]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Give the stride of each place, and from where to where the farthest side of its objects may be."""
        strides = self.pyramid.strides
        lows = [0.0, *(float(SMALLEST * stride) for stride in strides[1:])]
        highs = [*(float(LARGEST * stride) for stride in strides[:-1]), math.inf]
        spread = [
            torch.cat([own.new_full((len(own),), value) for own, value in zip(places, values, strict=True)])
            for values in (strides, lows, highs)
        ]
        return spread[0], spread[1], spread[2]


def boxes_around(places: Float[Tensor, "n 2"], distances: Float[Tensor, "*b n 4"]) -> Float[Tensor, "*b n 4"]:
    """Make the boxes whose left, top, right and bottom are so far from their places."""
    return torch.cat([places - distances[..., :2], places + distances[..., 2:]], -1)


def nearness(sides: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """Compute the centre-ness of places from their distances to the sides of their box (equation 3)."""
    horizontal, vertical = sides[..., 0::2], sides[..., 1::2]
    return (horizontal.amin(-1) / horizontal.amax(-1) * vertical.amin(-1) / vertical.amax(-1)).sqrt()


def assign(
    places: Float[Tensor, "n 2"],
    strides: Float[Tensor, " n"],
    lows: Float[Tensor, " n"],
    highs: Float[Tensor, " n"],
    truth: Truth,
) -> tuple[Int64[Tensor, " n"], Bool[Tensor, " n"]]:
    """Give each place the row of its object, -1 of none, and tell which places are learned from.

    A place has the smallest object that it is within, that is of its level's size, and near whose middle it is.
    """
    inside = _sides(places, truth.ignored).amin(-1) > 0
    free = ~inside.any(1) if truth.ignored.shape[0] else torch.ones_like(places[:, 0], dtype=torch.bool)
    if not truth.boxes.shape[0]:
        return torch.full_like(free, -1, dtype=torch.int64), free
    sides, middles = _sides(places, truth.boxes), (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
    near = (places[:, None] - middles).abs().amax(-1) < RADIUS * strides[:, None]
    farthest = sides.amax(-1)
    fits = near & (sides.amin(-1) > 0) & (farthest > lows[:, None]) & (farthest < highs[:, None])
    areas = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1)
    smallest, rows = areas.expand_as(fits).where(fits, math.inf).min(1)
    rows = rows.where(smallest < math.inf, -1)
    return rows, free | (rows >= 0)


def _sides(places: Float[Tensor, "n 2"], boxes: Float[Tensor, "g 4"]) -> Float[Tensor, "n g 4"]:
    return torch.cat([places[:, None] - boxes[:, :2], boxes[:, 2:] - places[:, None]], -1)


def _of_rows(rows: Int64[Tensor, " n"], truth: Truth) -> tuple[Int64[Tensor, " n"], Float[Tensor, "n 4"]]:
    """Give each place the label and the box of its object, and zeros where the picture has none."""
    if not truth.boxes.shape[0]:
        return torch.zeros_like(rows), truth.boxes.new_zeros(len(rows), 4)
    return truth.labels[rows.clamp(min=0)], truth.boxes[rows.clamp(min=0)]


def fcos(
    *,
    num_classes: int,
    backbone: BackboneName = "resnet18",
    width: HeadChannels = 256,
    frozen_norm: FrozenNorm = False,
) -> FCOS:
    """Build FCOS; the paper's backbone is `resnet50`."""
    pyramid = FPN(
        timm_backbone(backbone, frozen_norm=frozen_norm),
        width,
        strides=STRIDES,
        further="convolve_pyramid",
        num_further=NUM_FURTHER,
    )
    return FCOS(pyramid=pyramid, num_classes=num_classes)
