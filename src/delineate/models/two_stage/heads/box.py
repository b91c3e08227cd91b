"""A head makes classes and boxes of the features of RoIs.

R  RoIs of all pictures    C  classes; the last logit, number C, is background    D  features of a RoI    E  of its map
"""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.nn.backbones import Backbone
from delineate.nn.blocks import initialise
from delineate.nn.classifying import Compare, log_loss
from delineate.ops.boxes import encode_boxes

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
SMOOTHNESS = 1 / 9
POOL5 = 6 * 6 * 256
"""R-CNN's boxes are read from so many values of a crop, those of the last pooled convolution (appendix C)."""

BoxSource = Literal["features", "map", "none"]
"""Boxes are read from the features that classes are read from, or from the last convolutional map, or not at all."""


class Seen(NamedTuple):
    """Classes are read from the features of R RoIs, and boxes from their `maps` where these are not `None`."""

    features: Float[Tensor, "r d"]
    maps: Float[Tensor, "r e"] | None = None


class BoxOutputs(NamedTuple):
    """A head gives of R RoIs the logits of all classes and background, and for each class how to move the box."""

    logits: Float[Tensor, "r c1"]
    deltas: Float[Tensor, "r c 4"]


class BoxHead(nn.Module, ABC):
    """RoI features become class scores, and one box a class.

    Boxes from `features` are learned by gradients, those from a `map` of `channels` are fitted afterwards, as SVMs are;
    until then, and without any source, boxes stay where they are. Once `one_vs_rest`, each class has a classifier of
    its own (an SVM), and background has none: it is the absence of all. It is a buffer, and so part of the weights.
    """

    FITTED = ("box_head.classify.", "box_head.regress.", "box_head.one_vs_rest")
    """`fit` replaces these weights of a detector."""

    one_vs_rest: Tensor

    def __init__(self, *, num_features: int, channels: int, num_classes: int, boxes_from: BoxSource) -> None:
        super().__init__()
        self.num_features, self.num_classes, self.boxes_from = num_features, num_classes, boxes_from
        self.map_side = max(1, math.isqrt(POOL5 // channels))
        source = channels * self.map_side**2 if boxes_from == "map" else num_features
        self.classify = nn.Linear(num_features, num_classes + 1)
        self.regress = nn.Linear(source, 4 * num_classes)
        self.register_buffer("one_vs_rest", torch.tensor(False))
        initialise([self.classify], partial(nn.init.normal_, std=0.01))
        initialise([self.regress], partial(nn.init.normal_, std=0.001 if boxes_from == "features" else 0.0))
        self.regress.requires_grad_(boxes_from == "features")

    @abstractmethod
    def describe(self, rois: Float[Tensor, "r c s s2"]) -> Seen:
        """Compute what classes and boxes are read from."""

    def forward(self, rois: Float[Tensor, "r c s s2"]) -> BoxOutputs:
        return self.judge(self.describe(rois))

    def judge(self, seen: Seen) -> BoxOutputs:
        """Compute logits and deltas of described RoIs."""
        deltas = self.regress(seen.features if seen.maps is None else seen.maps)
        return BoxOutputs(self.classify(seen.features).float(), deltas.float().view(-1, self.num_classes, 4))

    def pooled(self, maps: Float[Tensor, "r c s s2"]) -> Float[Tensor, "r e"] | None:
        """Average the last convolutional maps to what boxes are read from, about as many values as the paper's."""
        return F.adaptive_avg_pool2d(maps, self.map_side).flatten(1) if self.boxes_from == "map" else None

    def probabilities(self, logits: Float[Tensor, "r c1"]) -> Float[Tensor, "r c"]:
        """Score each class from 0 to 1; an SVM's margin goes through a sigmoid, which keeps the order."""
        return logits[:, :-1].sigmoid().where(self.one_vs_rest, logits.softmax(1)[:, :-1])


class FeatureHead(BoxHead):
    """Two fully connected layers follow pooled features (Ren et al. 2015; Lin et al. 2017, FPN, section 4.2).

    `dropout` is the share of the values of each that a step leaves out, as in the papers' VGG-16 (its fc6 and fc7).
    """

    def __init__(
        self,
        *,
        channels: int,
        size: int,
        num_classes: int,
        width: int = 1024,
        dropout: float = 0.0,
        boxes_from: BoxSource = "features",
    ) -> None:
        super().__init__(num_features=width, channels=channels, num_classes=num_classes, boxes_from=boxes_from)
        self.hidden = nn.ModuleList([nn.Linear(channels * size * size, width), nn.Linear(width, width)])
        self.dropout = dropout

    def describe(self, rois: Float[Tensor, "r c s s2"]) -> Seen:
        x = rois.flatten(1)
        for layer in self.hidden:
            x = F.dropout(F.relu(layer(x)), self.dropout, self.training)
        return Seen(x, self.pooled(rois))


class CropHead(BoxHead):
    """A network of its own sees each warped crop, `chunk` crops at a time (Girshick et al. 2014, R-CNN, section 2.1).

    Its features are the mean of the backbone's coarsest map.
    """

    def __init__(
        self, *, backbone: Backbone, num_classes: int, chunk: int = 128, boxes_from: BoxSource = "features"
    ) -> None:
        channels = backbone.channels[-1]
        super().__init__(num_features=channels, channels=channels, num_classes=num_classes, boxes_from=boxes_from)
        self.backbone = backbone
        self.chunk = chunk

    def describe(self, rois: Float[Tensor, "r c s s2"]) -> Seen:
        if self.training:
            # all crops at once: batch statistics are those of the whole sample; where there are not two, blank ones
            # join them, for a variance and so that every parameter has a gradient
            blank = rois.new_zeros(max(0, 2 - len(rois)), *rois.shape[1:])
            whole = self._seen(torch.cat([rois, blank]))
            return Seen(whole.features[: len(rois)], None if whole.maps is None else whole.maps[: len(rois)])
        # a graph has no loops; where it runs, memory is its runtime's affair
        parts = [rois] if torch.compiler.is_exporting() else torch.split(rois, self.chunk)
        seen = [self._seen(part) for part in parts]
        maps = [part.maps for part in seen if part.maps is not None]
        return Seen(torch.cat([part.features for part in seen]), torch.cat(maps) if maps else None)

    def _seen(self, crops: Tensor) -> Seen:
        level = self.backbone(crops).levels[-1]
        return Seen(level.mean((2, 3)), self.pooled(level))


def class_loss(
    logits: Float[Tensor, "r c1"], labels: Int64[Tensor, " r"], compare: Compare = log_loss
) -> Float[Tensor, ""]:
    """Compute the mean loss of classes, the log loss where nothing else is said (Fast R-CNN, section 2.3)."""
    return compare(logits, labels).sum() / max(1, len(labels))


def box_loss(
    outputs: BoxOutputs, labels: Int64[Tensor, " r"], rois: Float[Tensor, "r 4"], objects: Float[Tensor, "r 4"]
) -> Float[Tensor, ""]:
    """Compute smooth L1 of the boxes of what is no background (Fast R-CNN, section 2.3).

    `objects` are the boxes that the RoIs answer for; those of background RoIs are not looked at.
    """
    background = outputs.logits.shape[1] - 1
    positive = (labels != background).nonzero()[:, 0]
    predicted = outputs.deltas[positive, labels[positive]]
    targets = encode_boxes(objects[positive], rois[positive], WEIGHTS)
    return F.smooth_l1_loss(predicted, targets, beta=SMOOTHNESS, reduction="sum") / max(1, len(labels))
