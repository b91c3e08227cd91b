"""DETR: Carion, Massa, Synnaeve, Usunier, Kirillov, Zagoruyko 2020, "End-to-end object detection with transformers".

    picture ─► backbone ─► 1x1 ─► encoder ─► memory ─┐
                                    queries ─► decoder ─► classes (C and "no object") and a box for each query

B  pictures    L  decoder layers    Q  queries    C  classes; the last logit, number C, is "no object"

A picture's objects are matched with its queries one to one, so that nothing is found twice and no NMS is needed. Boxes
are `cx cy w h`, as shares of the picture's sides, in here alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_convert, generalized_box_iou

from delineate.models.contract import Model
from delineate.models.queries.options import Backbone, FrozenNorm, NumLayers, NumQueries, QuerySide, Width
from delineate.models.queries.queries import LearnedQueries, PlacedQueries
from delineate.models.queries.transformer import Attention, Transformer
from delineate.nn import backbones
from delineate.nn.matching import IGNORED_COVER, objects_of
from delineate.ops.boxes import coverage
from delineate.values import Detections, InputError, Target

CLASS_COST, BOX_COST, GIOU_COST = 1.0, 5.0, 2.0
"""Appendix A.4: the weights of matching and of the losses."""
NO_OBJECT_WEIGHT = 0.1
"""Section 3.1: "no object" is what most queries say."""
NUM_HEADS = 8
IGNORED = -100
SMALLEST_SIDE = 1e-2
QUERIES_AN_OBJECT = 3
"""Of the small preset."""


class DETROutputs(NamedTuple):
    """What each decoder layer says of each query; the last layer's is the result, the others' are auxiliary.

    Placed queries say something before the first layer, too.
    """

    logits: Float[Tensor, "l b q c1"]
    boxes: Float[Tensor, "l b q 4"]


class Objects(NamedTuple):
    """A picture's ordinary objects, their boxes as shares of its sides, and what is neither object nor background."""

    labels: Int64[Tensor, " n"]
    boxes: Float[Tensor, "n 4"]
    ignored: Float[Tensor, "m 4"]

    def repeated(self, times: int, *, most: int) -> "Objects":
        """Every object `times` times; fewer, but at least once, where that makes more than `most`."""
        times = max(1, min(times, most // max(1, len(self.labels))))
        return Objects(self.labels.repeat(times), self.boxes.repeat(times, 1), self.ignored)


class DETR(Model[DETROutputs, Detections]):
    """Queries to detections; the same picture gives the same, whatever runs beside it.

    `project` makes the transformer's channels of the backbone's last level. In training, every layer but the last
    matches each object with `queries_an_object` queries.
    """

    def __init__(
        self,
        *,
        backbone: backbones.Backbone,
        project: nn.Module,
        transformer: Transformer,
        queries: LearnedQueries | PlacedQueries,
        num_classes: int,
        queries_an_object: int = 1,
    ) -> None:
        super().__init__()
        width = transformer.width
        self.num_classes, self.queries_an_object = num_classes, queries_an_object
        self.backbone, self.project, self.transformer, self.queries = backbone, project, transformer, queries
        self.classify = nn.Linear(width, num_classes + 1)
        self.regress = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 4)])

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> DETROutputs:
        features = self.project(self.backbone(images).levels[-1])
        states = self.transformer(features, self.queries)
        first, second, last = self.regress
        moved = last(F.relu(second(F.relu(first(states))))).float()
        return DETROutputs(self.classify(states).float(), (self.queries.boxes + moved).sigmoid())

    def loss(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Section 3.1, equation 2: log loss of matched classes, L1 and generalised IoU of boxes, summed over layers."""
        outputs = self(images)
        objects = [_objects(target, images.device) for target in targets]
        num_queries = outputs.logits.shape[2]
        # the other half of the queries learns "no object"
        several = [its.repeated(self.queries_an_object, most=num_queries // 2) for its in objects]
        wanted = [*[several] * (len(outputs.logits) - 1), objects]
        by_layer = [set_losses(*its) for its in zip(outputs.logits, outputs.boxes, wanted, strict=True)]
        return {name: torch.stack([losses[name] for losses in by_layer]).sum() for name in by_layer[0]}

    def postprocess(self, outputs: DETROutputs, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Each query's best class and its box, best first."""
        best, labels = outputs.logits[-1].softmax(-1)[..., :-1].max(-1)
        corners = box_convert(outputs.boxes[-1], "cxcywh", "xyxy").clamp(0, 1)
        results = []
        for scores, its_labels, boxes, size in zip(best, labels, corners, sizes, strict=True):
            boxes = boxes * boxes.new_tensor([size[1], size[0]]).repeat(2)
            order = scores.argsort(descending=True, stable=True)
            order = order[(boxes[order, 2:] - boxes[order, :2] >= SMALLEST_SIDE).all(1)]
            results.append(
                Detections(image_size=size, boxes=boxes[order], labels=its_labels[order], scores=scores[order])
            )
        return results


def set_losses(
    logits: Float[Tensor, "b q c1"], boxes: Float[Tensor, "b q 4"], objects: Sequence[Objects]
) -> dict[str, Tensor]:
    """The losses of one decoder layer, weighted; those of boxes are the mean over the batch's objects."""
    count = max(1, sum(len(its.labels) for its in objects))
    background = logits.shape[-1] - 1
    labels = torch.full(logits.shape[:2], background, device=logits.device)
    found, wanted = [], []
    for picture, its in enumerate(objects):
        queries, rows = assign(logits[picture], boxes[picture], its)
        if len(its.ignored):
            corners = box_convert(boxes[picture].detach(), "cxcywh", "xyxy")
            labels[picture, coverage(corners, its.ignored) > IGNORED_COVER] = IGNORED
        labels[picture, queries] = its.labels[rows]
        found.append(boxes[picture, queries])
        wanted.append(its.boxes[rows])
    mine, theirs = torch.cat(found), torch.cat(wanted)
    weights = torch.ones(background + 1, device=logits.device)
    weights[background] = NO_OBJECT_WEIGHT
    giou = generalized_box_iou(box_convert(mine, "cxcywh", "xyxy"), box_convert(theirs, "cxcywh", "xyxy")).diagonal()
    return {
        "class": CLASS_COST * _cross_entropy(logits, labels, weights),
        "box": BOX_COST * F.l1_loss(mine, theirs, reduction="sum") / count,
        "giou": GIOU_COST * (1 - giou).sum() / count,
    }


def _cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean over all queries that are not ignored; 0 where all are."""
    total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), weights, ignore_index=IGNORED, reduction="sum")
    counted = labels[labels != IGNORED]
    return total / weights[counted].sum().clamp(min=1e-9)


@torch.no_grad()
def assign(
    logits: Float[Tensor, "q c1"], boxes: Float[Tensor, "q 4"], objects: Objects
) -> tuple[Int64[Tensor, " m"], Int64[Tensor, " m"]]:
    """The queries and the rows of their objects in the cheapest one-to-one assignment (section 3.1, equation 1)."""
    probability = logits.softmax(-1)[:, objects.labels]
    distance = torch.cdist(boxes, objects.boxes, p=1)
    giou = generalized_box_iou(box_convert(boxes, "cxcywh", "xyxy"), box_convert(objects.boxes, "cxcywh", "xyxy"))
    cost = BOX_COST * distance - CLASS_COST * probability - GIOU_COST * giou
    queries, rows = linear_sum_assignment(cost.cpu().numpy())
    device = logits.device
    return torch.as_tensor(queries, device=device).long(), torch.as_tensor(rows, device=device).long()


def _objects(target: Target, device: torch.device) -> Objects:
    height, width = target.image_size
    sides = torch.tensor([width, height], device=device).repeat(2)
    ordinary = objects_of(target)
    boxes = box_convert(ordinary.boxes.to(device) / sides, "xyxy", "cxcywh")
    return Objects(ordinary.labels.to(device), boxes, target.boxes[target.ignored].to(device) / sides)


def detr(
    *,
    num_classes: int,
    backbone: Backbone = "resnet50",
    num_queries: NumQueries = 100,
    width: Width = 256,
    num_layers: NumLayers = 6,
    frozen_norm: FrozenNorm = False,
) -> DETR:
    """DETR; its network is the paper's, which learns from pretrained weights over hundreds of epochs.

    Raises `InputError` for a width that the heads cannot share.
    """
    body = backbones.timm_backbone(backbone)
    if frozen_norm:
        body.freeze_norms()
    return DETR(
        backbone=body,
        project=nn.Conv2d(body.channels[-1], width, 1),
        transformer=_transformer(width, num_layers, hidden=8 * width, dropout=0.1),
        queries=LearnedQueries(num_queries, width),
        num_classes=num_classes,
    )


def detr_small(
    *,
    num_classes: int,
    backbone: Backbone = "resnet18",
    query_side: QuerySide = 12,
    width: Width = 128,
    num_layers: NumLayers = 2,
) -> DETR:
    """DETR for hundreds or thousands of pictures, from scratch.

    What helps, and why: queries that stand on a grid know where to look (Anchor DETR), and answer before the first
    layer, so that encoder and backbone learn as directly as a grid system does. Features enter through batch norm, and
    attention begins with what is alike: else places mix before any of them means anything. Each object is matched with
    several queries in every layer but the last, which learns to choose among them (Jia et al. 2023, H-DETR, section
    3.2.2, the hybrid layer scheme). docs/results.md measures these. Not measured by themselves are stride 16, as small
    objects are smaller than cells of 32, and no dropout, as a short training underfits.

    Raises `InputError` for a width that the heads cannot share, and for less than two queries a side.
    """
    body = backbones.timm_backbone(backbone, deepest_stride=16)
    transformer = _transformer(width, num_layers, hidden=4 * width, dropout=0.0)
    for module in transformer.modules():
        if isinstance(module, Attention):
            module.begin_with_likeness()
    return DETR(
        backbone=body,
        project=nn.Sequential(nn.Conv2d(body.channels[-1], width, 1, bias=False), nn.BatchNorm2d(width)),
        transformer=transformer,
        queries=PlacedQueries(query_side, width),
        num_classes=num_classes,
        queries_an_object=QUERIES_AN_OBJECT,
    )


def _transformer(width: int, num_layers: int, *, hidden: int, dropout: float) -> Transformer:
    if width % NUM_HEADS:
        raise InputError(f"width: {width} is no multiple of {NUM_HEADS}, the number of attention heads")
    return Transformer(
        width=width,
        num_heads=NUM_HEADS,
        hidden=hidden,
        num_encoder_layers=num_layers,
        num_decoder_layers=num_layers,
        dropout=dropout,
    )
