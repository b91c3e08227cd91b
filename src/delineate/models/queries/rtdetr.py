"""RT-DETR: Zhao et al. 2024, "DETRs beat YOLOs on real-time object detection"; its second version, Lv et al. 2024.

    picture ─► backbone ─► strides 8, 16, 32 ─► hybrid encoder ─► memory ─► the likeliest places ─► queries ─┐
                                                                   └──────────► decoder ◄────────────────────┘
                                                  layer by layer ◄─────────────────┴─► classes, and boxes that move

B  pictures    L  layers that say something: the selection, then the decoder's    Q  queries    C  classes    M  pairs

Objects and queries are matched one to one, so that no NMS is needed. In training, further queries are told of objects
with noise. A class learns how well its box fits (varifocal loss, Zhang et al. 2021). The second version has its own way
to place the points that a query looks at, and `--sampling discrete` for runtimes that gather nothing but whole places.
`--box-head distribution` is D-FINE's decoder (distribution.py), and with `--fusion elan` all of it.

Where it deviates: any backbone, whose batch norms are trained unless `--frozen-norm`; sizes from 0.75 to 1.5 times the
usual, where the paper has 480 to 800 of 640; pictures are normalised, as for all systems here. Each process counts the
objects of its own batches. A query that says a crowd says nothing wrong. Of D-FINE, gates, uneven points and values
that are not projected come with its distributions, and each layer's boxes learn from its own matching, as in
Transformers, where the authors' code joins the matchings of all layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Doc

from delineate.models.capacity import Capacity, capacity_of_queries
from delineate.models.contract import Inputs, Model, Rows
from delineate.models.naming import SHARED, Named
from delineate.models.options import FrozenNorm, ImageSize
from delineate.models.queries.criterion import class_cost, fit, on_every_layer, varifocal_losses
from delineate.models.queries.decoder import Decoder, DecoderLayer, Residual, Said
from delineate.models.queries.deformable import DeformableAttention, Memory, Sampling
from delineate.models.queries.denoising import Denoising, seen_by
from delineate.models.queries.detr import NUM_HEADS, BackboneName, NumQueries, Width
from delineate.models.queries.distribution import DistributionDecoder, Gate
from delineate.models.queries.hybrid import Fusion, HybridEncoder, conv_norm, hybrid_encoder
from delineate.models.queries.matching import QueryObjects, assign, box_losses, in_pixels, on_ignored
from delineate.models.queries.selection import Selected, Selection
from delineate.models.queries.transformer import EncoderLayer
from delineate.models.rows import BoxReader
from delineate.nn.backbones import Backbone, timm_backbone
from delineate.values import InputError, Thresholds, Truth

STRIDES = (8, 16, 32)
NUM_POINTS = {"direct": (4, 4, 4), "distribution": (3, 6, 3)}

BoxHead = Literal["direct", "distribution"]
NumLayers = Annotated[int, Doc("Layers of the decoder; the paper has 3 with ResNet-18, 6 with ResNet-50.")]


class RTDETRRaw(NamedTuple):
    """The selection, and then each layer of the decoder, says this of each query; the last one's is the result."""

    logits: Float[Tensor, "l b q c"]
    boxes: Float[Tensor, "l b q 4"]


@dataclass(frozen=True, kw_only=True)
class RTDETRReader(BoxReader[RTDETRRaw]):
    """The likeliest pairs of a query and a class; no NMS is needed, so that none is done at the IoU 1."""

    def candidates(self, raw: RTDETRRaw, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        return raw.logits[-1].sigmoid().transpose(1, 2), in_pixels(raw.boxes[-1], size)[:, None]


class RTDETR(Model[RTDETRRaw, Rows]):
    """Places that are likely become queries, and queries detections.

    `bridge` leads the levels of the encoder to the decoder, a layer each.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        encoder: HybridEncoder,
        bridge: Sequence[nn.Module],
        selection: Selection,
        decoder: Decoder | DistributionDecoder,
        denoising: Denoising,
        image_size: int,
    ) -> None:
        super().__init__()
        self.backbone, self.encoder, self.bridge = backbone, encoder, nn.ModuleList(bridge)
        self.selection, self.decoder, self.denoising = selection, decoder, denoising
        self.input_size = image_size, image_size
        self.most_objects = selection.num_queries
        self.reader = RTDETRReader(thresholds=Thresholds(score=0.0, nms_iou=1.0, max_detections=self.most_objects))

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> RTDETRRaw:
        memory = self.memory(images)
        chosen = self.selection(memory)
        said = after(chosen, self.decoder(chosen.content, chosen.boxes, memory))
        return RTDETRRaw(said.logits, said.boxes)

    def memory(self, images: Float[Tensor, "b 3 h w"]) -> Memory:
        """Encode pictures."""
        levels = dict(zip(self.backbone.strides, self.backbone(images).levels, strict=True))
        encoded = self.encoder([levels[stride] for stride in STRIDES])
        return Memory.of([layer(level) for layer, level in zip(self.bridge, encoded, strict=True)])

    def named_layers(self) -> Mapping[str, Named]:
        classes = range(self.denoising.num_classes)
        layers = ["selection.classify", *(f"decoder.classify.{i}" for i in range(len(self.decoder.classify)))]
        return {
            **dict.fromkeys(layers, Named([*classes])),
            "denoising.labels.weight": Named([*classes, SHARED]),
        }

    def capacity(self, pictures: Sequence[Float[Tensor, "_n 4"]]) -> Capacity:
        return capacity_of_queries(self.selection.num_queries)

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Add up losses of all layers: of queries that are matched by what they say, and of those that are told."""
        objects = [QueryObjects.of(truth) for truth in truths]
        memory = self.memory(inputs.images)
        chosen = self.selection(memory)
        content, told = self.denoising(objects)
        num_told, num_queries = content.shape[1], chosen.content.shape[1]
        said = self.decoder(
            torch.cat([content, chosen.content.detach()], 1),
            torch.cat([told.boxes, chosen.boxes], 1),
            memory,
            seen_by(num_told, told.num_groups, num_queries, content.device),
        )
        taught, own = said.split(num_told)
        own = after(chosen, own)
        in_all = [*objects] * len(own.logits)
        matched = assign(own.logits.flatten(0, 1), own.boxes.flatten(0, 1).clamp(0, 1), in_all, class_cost)
        count = max(1, sum(len(one.labels) for one in objects))
        learned = self._losses(own, objects, matched, count)
        denoised = self._losses(taught, objects, on_every_layer(told.pairs, taught), count * told.num_groups)
        return {name: loss + denoised[name] for name, loss in learned.items()}

    def _losses(
        self, said: Said, objects: Sequence[QueryObjects], pairs: Int64[Tensor, "3 m"], count: int
    ) -> dict[str, Tensor]:
        """Add up losses over all layers; `pairs` are rows among the pictures of all layers, queries, and objects."""
        rows, queries, number = pairs
        labels, targets = (torch.cat(side) for side in zip(*((one.labels, one.boxes) for one in objects), strict=True))
        number = number % max(1, len(labels))
        labels, targets = labels[number], targets[number]
        boxes = said.boxes.flatten(0, 1).clamp(0, 1)
        paired = boxes[rows, queries]
        off = varifocal_losses(said.logits.flatten(0, 1), rows, queries, labels, fit(paired.detach(), targets))
        if any(len(one.ignored) for one in objects):
            free = torch.ones_like(off, dtype=torch.bool).index_put((rows, queries), torch.zeros_like(rows).bool())
            off = off.where(~(free & on_ignored(boxes, [*objects] * len(said.logits))), 0.0)
        return {
            "class": off.sum() / count,
            **box_losses(paired, targets, count),
            **self.decoder.losses(said, pairs[:2], targets, count),
        }


def after(chosen: Selected, said: Said) -> Said:
    """Put what the selection says of its queries before what the decoder's layers say."""
    logits = torch.cat([chosen.logits[None], said.logits])
    return said._replace(logits=logits, boxes=torch.cat([chosen.boxes.sigmoid()[None], said.boxes]))


def rtdetr(
    *,
    num_classes: int,
    backbone: BackboneName = "resnet18",
    image_size: ImageSize = 640,
    num_queries: NumQueries = 300,
    width: Width = 256,
    num_layers: NumLayers = 3,
    box_head: Annotated[
        BoxHead,
        Doc("Boxes move by a number of each side, or by a distribution over steps of each edge, which is D-FINE's."),
    ] = "direct",
    sampling: Annotated[
        Sampling, Doc("What a query sees at a point: the mean of the four places around it, or the nearest place.")
    ] = "bilinear",
    fusion: Annotated[Fusion, Doc("Blocks that fuse two levels: RT-DETR's csp, or D-FINE's elan.")] = "csp",
    fusion_width: Annotated[int, Doc("Channels inside of these blocks; 256 with the paper's ResNet-50.")] = 128,
    fusion_depth: Annotated[int, Doc("Blocks in a row that fuse two levels.")] = 3,
    frozen_norm: FrozenNorm = False,
) -> RTDETR:
    """Build RT-DETR; its own is of ResNet-18, and `--backbone resnet50d --num-layers 6 --fusion-width 256` its large.

    D-FINE's are `--box-head distribution --fusion elan` with a `hgnetv2` of timm. Raises `InputError` for a width that
    the heads cannot share, and for a backbone without maps of stride 8, 16 and 32.
    """
    if width % NUM_HEADS:
        raise InputError(f"width: {width} is no multiple of {NUM_HEADS}, the number of attention heads")
    body = timm_backbone(backbone, frozen_norm=frozen_norm)
    channels = dict(zip(body.strides, body.channels, strict=True))
    if not set(STRIDES) <= set(channels):
        raise InputError(f"backbone: {backbone} has maps of strides {body.strides}; RT-DETR looks at 8, 16 and 32")
    attend = EncoderLayer(width=width, num_heads=NUM_HEADS, hidden=4 * width, dropout=0.0, activation=F.gelu)
    direct = box_head == "direct"
    layers = [
        DecoderLayer(
            width=width,
            num_heads=NUM_HEADS,
            hidden=4 * width,
            look=DeformableAttention(
                width, NUM_HEADS, num_points=NUM_POINTS[box_head], sampling=sampling, projected=direct
            ),
            join=Residual(width) if direct else Gate(width),
        )
        for _ in range(num_layers)
    ]
    return RTDETR(
        backbone=body,
        encoder=hybrid_encoder(
            [channels[stride] for stride in STRIDES],
            width,
            attend,
            fusion=fusion,
            inner_width=fusion_width,
            depth=fusion_depth,
        ),
        bridge=[conv_norm(width, width) if direct else nn.Identity() for _ in STRIDES],
        selection=Selection(width, num_classes, num_queries),
        decoder=(Decoder if direct else DistributionDecoder)(layers, width=width, num_classes=num_classes),
        denoising=Denoising(num_classes, width),
        image_size=image_size,
    )
