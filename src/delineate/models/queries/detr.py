"""DETR: Carion, Massa, Synnaeve, Usunier, Kirillov, Zagoruyko 2020, "End-to-end object detection with transformers".

    picture ─► backbone ─► 1x1 ─► encoder ─► memory ─┐
                                    queries ─► decoder ─► classes (C and "no object") and a box for each query

B  pictures    L  decoder layers    Q  queries    C  classes; the last logit, number C, is "no object"

A picture's objects are matched with its queries one to one, so that nothing is found twice and no NMS is needed. Boxes
are `cx cy w h`, as shares of the picture's sides, in here alone.

Where it deviates: any backbone, whose batch norms are trained unless `--frozen-norm`; dropout after attention and
feed-forward layers, not within them, as Transformers has it. Pictures are enlarged only where `--short-side 800` says
so, which is the paper's, and no longer than 1333; in training they vary from 0.6 of their size, as 480 is of 800. A cut
that is resized is no longer than the picture. The backbone learns at a tenth of the rate where it begins with weights,
as it always does in the paper. The rate falls by a cosine, as short trainings have no epoch 200 to fall at. Processes
count the objects of their own batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Doc

from delineate.models.capacity import Capacity, capacity_of_queries
from delineate.models.contract import Inputs, Model, Rows
from delineate.models.naming import SHARED, Named
from delineate.models.options import FrozenNorm
from delineate.models.queries.matching import QueryObjects, assign, box_losses, in_pixels, on_ignored
from delineate.models.queries.queries import LearnedQueries, PlacedQueries
from delineate.models.queries.transformer import Attention, Transformer
from delineate.models.rows import BoxReader
from delineate.nn import backbones
from delineate.nn.classifying import IGNORED, ClassLoss, Compare, log_loss
from delineate.ops.nms import NONE
from delineate.values import InputError, Thresholds, Truth

CLASS_COST = 1.0
"""Appendix A.4 weighs the class so in matching and losses; `matching` has the weights of boxes."""
NO_OBJECT_WEIGHT = 0.1
"""Most queries say "no object" (section 3.1)."""
NUM_HEADS = 8
QUERIES_AN_OBJECT = 3
"""The small preset has as many."""

BackboneName = Annotated[str, Doc("Any timm model with feature maps (resnet18, resnet50, convnext_tiny ...).")]
NumQueries = Annotated[int, Doc("Queries, the most objects detected in a picture; choose more than any picture holds.")]
QuerySide = Annotated[
    int, Doc("Queries along each side of the picture; the square of it is the most objects that are detected.")
]
Width = Annotated[
    int, Doc("Channels of the transformer, a multiple of 8; feed-forward layers have several times as many.")
]
NumLayers = Annotated[int, Doc("Layers of the encoder, and as many of the decoder.")]


class DETRRaw(NamedTuple):
    """Each decoder layer says this of each query; the last layer's is the result, the others' are auxiliary.

    Placed queries say something before the first layer, too.
    """

    logits: Float[Tensor, "l b q c1"]
    boxes: Float[Tensor, "l b q 4"]


@dataclass(frozen=True, kw_only=True)
class DETRReader(BoxReader[DETRRaw]):
    """Each query has its best class; no NMS is needed, so that none is done at the IoU 1."""

    def candidates(self, raw: DETRRaw, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        # where weights are 8-bit integers, OpenVINO keeps the dimension that an index takes away
        logits, boxes = raw.logits.unbind()[-1], raw.boxes.unbind()[-1]
        likely = logits.softmax(-1)[..., :-1]
        scores, labels = likely.max(-1, keepdim=True)
        one_class = torch.full_like(likely, NONE).scatter(-1, labels, scores)
        return one_class.transpose(1, 2), in_pixels(boxes, size)[:, None]


class DETR(Model[DETRRaw, Rows]):
    """Queries become detections; the same picture gives the same, whatever runs beside it.

    `project` makes the transformer's channels of the backbone's last level. In training, every layer but the last
    matches each object with `queries_an_object` queries, and what pads a picture to its batch's size is not looked at.
    """

    learns_whole = True

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
        self.class_loss = ClassLoss(num_classes)
        self.regress = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 4)])
        self.most_objects = len(queries.boxes)
        self.reader = DETRReader(thresholds=Thresholds(score=0.0, nms_iou=1.0, max_detections=self.most_objects))

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> DETRRaw:
        return self._answers(images)

    def _answers(self, images: Float[Tensor, "b 3 h w"], sizes: Sequence[tuple[int, int]] = ()) -> DETRRaw:
        """Answer for pictures of these `(height, width)`, which are padded where that is not their batch's."""
        features = self.project(self.backbone(images).levels[-1])
        states = self.transformer(features, self.queries, _filled(features, images, sizes))
        first, second, last = self.regress
        moved = last(F.relu(second(F.relu(first(states))))).float()
        return DETRRaw(self.classify(states).float(), (self.queries.boxes + moved).sigmoid())

    def named_layers(self) -> Mapping[str, Named]:
        return {"classify": Named([*range(self.num_classes), SHARED])}

    def capacity(self, pictures: Sequence[Float[Tensor, "_n 4"]]) -> Capacity:
        return capacity_of_queries(len(self.queries.boxes))

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Add up section 3.1, equation 2: log loss of matched classes, L1 and generalised IoU of boxes, by layer."""
        raw = self._answers(inputs.images, [truth.image_size for truth in truths])
        objects = [QueryObjects.of(truth) for truth in truths]
        num_layers, _, num_queries, _ = raw.logits.shape
        # the other half of the queries learns "no object"
        several = [one.repeated(self.queries_an_object, most=num_queries // 2) for one in objects]
        targets = [*[several] * (num_layers - 1), objects]
        by_layer = [set_losses(*layer, self.class_loss) for layer in zip(raw.logits, raw.boxes, targets, strict=True)]
        return {name: torch.stack([losses[name] for losses in by_layer]).sum() for name in by_layer[0]}


def _filled(features: Tensor, images: Tensor, sizes: Sequence[tuple[int, int]]) -> Float[Tensor, "b 2"] | None:
    """Count the rows and columns of the map that begin in each picture; `None` where no picture is padded."""
    padded = (images.shape[-2], images.shape[-1])
    if all(size == padded for size in sizes):
        return None
    sides = [
        [-(-side * n // whole) for side, n, whole in zip(size, features.shape[-2:], padded, strict=True)]
        for size in sizes
    ]
    return features.new_tensor(sides, dtype=torch.float32)


def set_losses(
    logits: Float[Tensor, "b q c1"],
    boxes: Float[Tensor, "b q 4"],
    objects: Sequence[QueryObjects],
    class_loss: Compare = log_loss,
) -> dict[str, Tensor]:
    """Weigh the losses of one decoder layer; those of boxes are the mean over the batch's objects."""
    background = logits.shape[-1] - 1
    pictures, queries, rows = assign(logits, boxes, objects, class_cost)
    labels = torch.full(logits.shape[:2], background, device=logits.device).masked_fill(
        on_ignored(boxes, objects), IGNORED
    )
    labels[pictures, queries] = torch.cat([one.labels for one in objects])[rows]
    weights = torch.ones(background + 1, device=logits.device)
    weights[background] = NO_OBJECT_WEIGHT
    predicted, targets = boxes[pictures, queries], torch.cat([one.boxes for one in objects])[rows]
    return {
        "class": CLASS_COST * _mean_of_queries(class_loss(logits, labels), labels, weights),
        **box_losses(predicted, targets, max(1, targets.shape[0])),
    }


def _mean_of_queries(losses: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Take the weighted mean over all queries that are not ignored; it is 0 where all are."""
    counted = weights[labels.clamp(min=0)].where(labels != IGNORED, 0)
    return (losses * counted).sum() / counted.sum().clamp(min=1e-9)


def class_cost(logits: Float[Tensor, "q c1"], labels: Int64[Tensor, " n"]) -> Float[Tensor, "q n"]:
    """Say that a query costs less the likelier it says the class of an object."""
    return -CLASS_COST * logits.softmax(-1)[:, labels]


def detr(
    *,
    num_classes: int,
    backbone: BackboneName = "resnet50",
    num_queries: NumQueries = 100,
    width: Width = 256,
    num_layers: NumLayers = 6,
    frozen_norm: FrozenNorm = False,
) -> DETR:
    """Build DETR; the network is the paper's, which learns from pretrained weights over hundreds of epochs.

    Raises `InputError` for a width that the heads cannot share.
    """
    body = backbones.timm_backbone(backbone, frozen_norm=frozen_norm)
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
    backbone: BackboneName = "resnet18",
    query_side: QuerySide = 12,
    width: Width = 128,
    num_layers: NumLayers = 2,
) -> DETR:
    """Build DETR for hundreds or thousands of pictures, from scratch.

    What helps, and why: queries that stand on a grid know where to look (Anchor DETR), and answer before the first
    layer, so that encoder and backbone learn as directly as a grid system does. Features enter through batch norm, and
    attention begins with what is alike: else places mix before any of them means anything. Each object is matched with
    several queries in every layer but the last, which learns to choose among them (Jia et al. 2023, H-DETR, section
    3.2.2, the hybrid layer scheme). docs/results.md measures these. Not measured by themselves are stride 16, as small
    objects are smaller than cells of 32, and no dropout, as a short training underfits.

    Where it deviates: of Anchor DETR it has no patterns. Its queries begin with the features of their place. It learns
    whole pictures without DETR's cuts (`--augment detr`), which cost more than they bring in short trainings, and its
    backbone as fast as the rest, with weights, too (`--backbone-rate 0.1` is DETR's).

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
    return Transformer(width=width, num_heads=NUM_HEADS, hidden=hidden, num_layers=num_layers, dropout=dropout)
