"""SSD: Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg 2016, "SSD: single shot multibox detector".

    picture ─► conv4_3 ─► L2Norm ─► level 1, stride 8 ───┐
                  └─► conv5_3 ─► fc7 ─► level 2 ─────────┤
                                  └─► 1x1, 3x3 ─► level 3 ┼─► 3x3 ─► logits and deltas of every default box ─► NMS
                                          └─► ... ────────┘

B  pictures    C  classes; the last logit, number C, is background
N  default boxes of all levels: level by level, row by row, shape by shape

Where it deviates: pictures without objects give their three hardest boxes to the loss, where the paper has none: empty
pictures teach. `ssd` takes other backbones and image sizes, and has shapes of ratios 2 and 3 at every level. All class
heads begin undecided, with small weights, where the paper's begin with Xavier's. As in the authors' code, and unlike
torchvision, each object has a default box of its own (`MatchBBox`), and boxes may be larger than the picture; with
torchvision's weights they are not.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.capacity import Capacity, capacity_of_anchors
from delineate.models.contract import Inputs, Model, Rows
from delineate.models.naming import SHARED, Named
from delineate.models.one_stage.options import VGG, BackboneName, SmallestScale
from delineate.models.one_stage.pyramid_heads import by_box
from delineate.models.options import ImageSize
from delineate.models.rows import BoxReader
from delineate.nn import backbones
from delineate.nn.blocks import initialise
from delineate.nn.classifying import ClassLoss
from delineate.nn.matching import match
from delineate.ops.anchors import default_boxes
from delineate.ops.boxes import decode_boxes, encode_boxes
from delineate.values import InputError, Thresholds, Truth

POSITIVE_IOU = 0.5
WEIGHTS = (10.0, 10.0, 5.0, 5.0)
NEGATIVES_PER_POSITIVE = 3
"""Section 2.2 calls this hard negative mining."""
THRESHOLDS = Thresholds(score=0.01, nms_iou=0.45, max_candidates=400, max_detections=200)
NUM_LEVELS, EXTRA_WIDTHS, LARGEST_SCALE = 6, (512, 256, 256, 128), 0.9
"""`ssd` has these; equation 4 spreads the scales evenly."""


class SSDRaw(NamedTuple):
    """The network gives logits and deltas of each default box; the default boxes are in pixels."""

    logits: Float[Tensor, "b n c1"]
    deltas: Float[Tensor, "b n 4"]
    boxes: Float[Tensor, "n 4"]


@dataclass(frozen=True, kw_only=True)
class SSDReader(BoxReader[SSDRaw]):
    """Boxes are moved, and NMS thins them out class by class (section 3.1)."""

    def candidates(self, raw: SSDRaw, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        scores = raw.logits.float().softmax(-1)[..., :-1].transpose(1, 2)
        return scores, decode_boxes(raw.deltas, raw.boxes, WEIGHTS)[:, None]


class Levels(nn.Module, ABC):
    """Pictures `(B, 3, H, W)` become maps of `channels[i]`, fine to coarse."""

    channels: tuple[int, ...]

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        """Compute the maps of normalised pictures, level `i` of shape `(B, channels[i], h, w)`."""


class VGGLevels(Levels):
    """VGG ends at conv5_3; fc6, a dilated convolution, fc7, a 1x1 one, and the extra levels follow (figure 2).

    `backbone` gives what its five stages make before each is pooled (tap `conv`).
    `extras` are `(width, kernel, stride, padding)` of the 3x3 (in SSD512 also 4x4) convolution of each extra level; the
    1x1 convolution before it has half the width.
    """

    def __init__(self, backbone: backbones.Backbone, extras: Sequence[tuple[int, int, int, int]]) -> None:
        super().__init__()
        self.backbone = backbone
        self.scale = nn.Parameter(torch.full((backbone.channels[3],), 20.0))  # section 3.1, after ParseNet
        self.fc6 = nn.Conv2d(backbone.channels[4], 1024, 3, padding=6, dilation=6)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.extras = nn.ModuleList()
        self.channels = (backbone.channels[3], 1024)
        for width, kernel, stride, padding in extras:
            self.extras.append(_extra(self.channels[-1], width, kernel, stride, padding))
            self.channels = (*self.channels, width)
        initialise((self.fc6, self.fc7), nn.init.xavier_uniform_)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        *_, conv4, conv5 = self.backbone(images).levels
        levels = [F.normalize(conv4) * self.scale[:, None, None]]
        x = F.max_pool2d(conv5, 3, stride=1, padding=1)
        levels.append(F.relu(self.fc7(F.relu(self.fc6(x)))))
        return (*levels, *_further(levels[-1], self.extras))


class BackboneLevels(Levels):
    """Extra levels of `widths`, each half the size, follow the maps of a backbone from stride 8 on.

    The backbone's maps are normalised, as section 3.1 does with conv4_3: backbones' scales differ by far.
    """

    FINEST_STRIDE = 8

    def __init__(self, backbone: backbones.Backbone, widths: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        levels = zip(backbone.strides, backbone.channels, strict=True)
        own = [width for stride, width in levels if stride >= self.FINEST_STRIDE]
        if not own:
            raise InputError(f"backbone: {backbone.name} has no map of stride {self.FINEST_STRIDE} or coarser")
        self.num_own = len(own)
        self.channels = (*own, *widths)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in own)
        self.extras = nn.ModuleList()
        for before, width in zip(self.channels[self.num_own - 1 : -1], widths, strict=True):
            self.extras.append(_extra(before, width, 3, 2, 1))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        maps = self.backbone(images).levels[-self.num_own :]
        levels = [norm(level) for norm, level in zip(self.norms, maps, strict=True)]
        return (*levels, *_further(levels[-1], self.extras))


class SSD(Model[SSDRaw, Rows]):
    """The network classifies and moves default boxes at every place of every level at once.

    A box of level `i` has the side `scales[i]`, as a share of the picture's; each of `aspect_ratios[i]` gives two more
    shapes, and a square between `scales[i]` and `scales[i + 1]` one. `strides` are the distances of the boxes in
    pixels; if not given, they follow from the levels' sizes. Sides are whole, larger than the picture's, too, but with
    weights that were learned with others: torchvision's, and those of runs that do not say it.
    """

    whole_sides: Tensor

    def __init__(
        self,
        *,
        levels: Levels,
        num_classes: int,
        scales: Sequence[float],
        aspect_ratios: Sequence[Sequence[float]],
        strides: Sequence[float] | None = None,
        input_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.levels, self.num_classes = levels, num_classes
        self.scales, self.strides, self.input_size = tuple(scales), strides, input_size
        self.aspect_ratios = tuple(tuple(ratios) for ratios in aspect_ratios)
        self.reader = SSDReader(thresholds=THRESHOLDS)
        self.class_loss = ClassLoss(num_classes)
        self.register_buffer("whole_sides", torch.tensor(True))
        self.register_load_state_dict_pre_hook(_cut_if_unsaid)  # type: ignore[no-untyped-call]
        shapes = [2 + 2 * len(ratios) for ratios in self.aspect_ratios]
        widths = list(zip(levels.channels, shapes, strict=True))
        self.classify = nn.ModuleList(nn.Conv2d(width, n * (num_classes + 1), 3, padding=1) for width, n in widths)
        self.regress = nn.ModuleList(nn.Conv2d(width, n * 4, 3, padding=1) for width, n in widths)
        initialise(self.classify, partial(nn.init.normal_, std=0.001))  # undecided at first, whatever the backbone
        initialise(self.regress, partial(nn.init.normal_, std=0.01))

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> SSDRaw:
        levels = self.levels(images)
        logits = [by_box(conv(level), self.num_classes + 1) for conv, level in zip(self.classify, levels, strict=True)]
        deltas = [by_box(conv(level), 4) for conv, level in zip(self.regress, levels, strict=True)]
        grids = [(level.shape[-2], level.shape[-1]) for level in levels]
        boxes = self.default_boxes(grids, (images.shape[-2], images.shape[-1]))
        return SSDRaw(torch.cat(logits, 1), torch.cat(deltas, 1), boxes)

    def named_layers(self) -> Mapping[str, Named]:
        """Each level has the logits of shape after shape."""
        shapes = [2 + 2 * len(ratios) for ratios in self.aspect_ratios]
        logits = [*range(self.num_classes), SHARED]
        return {f"classify.{level}": Named(logits * count) for level, count in enumerate(shapes)}

    def default_boxes(self, grids: Sequence[tuple[int, int]], image_size: tuple[int, int]) -> Float[Tensor, "n 4"]:
        """Make the boxes of all levels, of `(rows, columns)` in `grids`."""
        height, width = image_size
        boxes = []
        for number, (grid, ratios) in enumerate(zip(grids, self.aspect_ratios, strict=True)):
            side, larger = self.scales[number], self.scales[number + 1]
            between = math.sqrt(side * larger)
            shapes = [(side, side), (between, between)]
            for ratio in map(math.sqrt, ratios):
                shapes += [(side * ratio, side / ratio), (side / ratio, side * ratio)]
            shares = torch.tensor(shapes, device=self.whole_sides.device)
            shares = shares.where(self.whole_sides, shares.clamp(max=1))
            sizes = torch.stack([shares[:, 0] * width, shares[:, 1] * height], 1)
            stride = (height / grid[0], width / grid[1])
            if self.strides is not None:
                stride = (self.strides[number], self.strides[number])
            boxes.append(default_boxes(sizes, grid, stride))
        return torch.cat(boxes)

    def capacity(self, pictures: Sequence[Float[Tensor, "_n 4"]]) -> Capacity:
        return capacity_of_anchors(
            lambda size: self(torch.zeros(1, 3, *size)).boxes, POSITIVE_IOU, "no default box overlaps it by half"
        )

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Add up section 2.2, equation 1: log loss of classes and smooth L1 of boxes, by the number of positives."""
        raw = self(inputs.images)
        logits, deltas = raw.logits.float(), raw.deltas.float()
        targets = [self._targets(raw.boxes, truth) for truth in truths]
        labels, moves, negative = (torch.stack(parts) for parts in zip(*targets, strict=True))
        class_losses = self.class_loss(logits, labels)
        positive = labels != self.num_classes
        counts = NEGATIVES_PER_POSITIVE * positive.sum(1).clamp(min=1)
        learned = positive | hardest(class_losses.detach(), negative, counts)
        count = positive.sum().clamp(min=1)
        smooth = F.smooth_l1_loss(deltas, moves, reduction="none").sum(-1)
        return {
            "class": class_losses.where(learned, 0).sum() / count,
            "box": smooth.where(positive, 0).sum() / count,
        }

    def _targets(
        self, boxes: Float[Tensor, "n 4"], truth: Truth
    ) -> tuple[Int64[Tensor, " n"], Float[Tensor, "n 4"], Bool[Tensor, " n"]]:
        """Give each default box a label, deltas, which count for positives alone, and whether it is a negative."""
        matches = match(boxes, truth, positive_iou=POSITIVE_IOU, negative_iou=(0.0, POSITIVE_IOU), one_for_each=True)
        if not truth.labels.shape[0]:
            return torch.full_like(matches.rows, self.num_classes), torch.zeros_like(boxes), matches.negative
        labels = truth.labels[matches.rows].where(matches.positive, self.num_classes)
        return labels, encode_boxes(truth.boxes[matches.rows], boxes, WEIGHTS), matches.negative


def hardest(
    losses: Float[Tensor, "b n"], negative: Bool[Tensor, "b n"], counts: Int64[Tensor, " b"]
) -> Bool[Tensor, "b n"]:
    """Choose the `counts[i]` negatives of picture `i` with the highest loss; all of them where they are fewer."""
    order = losses.masked_fill(~negative, -math.inf).argsort(1, descending=True)
    rank = order.argsort(1)
    return (rank < counts[:, None]) & negative


def ssd300(*, num_classes: int, backbone: VGG = "vgg16") -> SSD:
    """Build SSD300, with the scales that the paper has for COCO (section 3.4)."""
    extras = [(512, 3, 2, 1), (256, 3, 2, 1), (256, 3, 1, 0), (256, 3, 1, 0)]
    return SSD(
        levels=VGGLevels(backbones.VGGBackbone(backbone, tap="conv"), extras),
        num_classes=num_classes,
        scales=(0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
        aspect_ratios=((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,)),
        strides=(8.0, 16.0, 32.0, 64.0, 100.0, 300.0),
        input_size=(300, 300),
    )


def ssd512(*, num_classes: int, backbone: VGG = "vgg16") -> SSD:
    """Build SSD512, which has one more level (section 3.4)."""
    extras = [(512, 3, 2, 1), (256, 3, 2, 1), (256, 3, 2, 1), (256, 3, 2, 1), (256, 4, 1, 1)]
    return SSD(
        levels=VGGLevels(backbones.VGGBackbone(backbone, tap="conv"), extras),
        num_classes=num_classes,
        scales=(0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06),
        aspect_ratios=((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,)),
        strides=(8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0),
        input_size=(512, 512),
    )


def ssd(
    *,
    num_classes: int,
    backbone: BackboneName = "mobilenetv3_large_100",
    image_size: ImageSize = 320,
    smallest_scale: SmallestScale = 0.1,
) -> SSD:
    """Build SSD on any backbone: the maps from stride 8 on and extra levels behind them, six in all."""
    body = backbones.timm_backbone(backbone)
    num_own = sum(stride >= BackboneLevels.FINEST_STRIDE for stride in body.strides)
    levels = BackboneLevels(body, EXTRA_WIDTHS[: max(0, NUM_LEVELS - num_own)])
    num_levels = len(levels.channels)
    steps = [smallest_scale + (LARGEST_SCALE - smallest_scale) * i / (num_levels - 1) for i in range(num_levels)]
    return SSD(
        levels=levels,
        num_classes=num_classes,
        scales=(*steps, 1.0),
        aspect_ratios=((2.0, 3.0),) * num_levels,
        input_size=(image_size, image_size),
    )


def _cut_if_unsaid(_: nn.Module, weights: dict[str, Tensor], prefix: str, *__: object) -> None:
    """Before weights said whether sides are whole, they were cut to the picture's."""
    weights.setdefault(f"{prefix}whole_sides", torch.tensor(False))


def _extra(before: int, width: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    squeeze, conv = nn.Conv2d(before, width // 2, 1), nn.Conv2d(width // 2, width, kernel, stride, padding)
    initialise((squeeze, conv), nn.init.xavier_uniform_)
    return nn.Sequential(squeeze, nn.ReLU(inplace=True), conv, nn.ReLU(inplace=True))


def _further(x: Tensor, extras: nn.ModuleList) -> list[Tensor]:
    """Compute the extra levels, in float32.

    They are small, and oneDNN's gradient of a 3x3 convolution of stride 2 over a single pixel is, in bfloat16, whatever
    was in memory.
    """
    levels = []
    with torch.autocast(x.device.type, enabled=False):
        x = x.float()
        for extra in extras:
            x = extra(x)
            levels.append(x)
    return levels
