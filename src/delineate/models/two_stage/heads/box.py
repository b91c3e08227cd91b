"""A head makes classes and boxes of the features of RoIs.

R  RoIs of all pictures    C  classes; the last logit, number C, is background    D  features of a RoI
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.nn.backbones import Backbone
from delineate.nn.blocks import initialise
from delineate.ops.boxes import encode_boxes

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
SMOOTHNESS = 1 / 9


class BoxOutputs(NamedTuple):
    """A head gives of R RoIs the logits of all classes and background, and for each class how to move the box."""

    logits: Float[Tensor, "r c1"]
    deltas: Float[Tensor, "r c 4"]


class BoxHead(nn.Module, ABC):
    """RoI features become class scores, and one box a class.

    Once `one_vs_rest`, each class has a classifier of its own (an SVM), and background has none: it is the absence of
    all. It is a buffer, and so part of the weights.
    """

    FITTED = ("box_head.classify.", "box_head.regress.", "box_head.one_vs_rest")
    """`fit` replaces these weights of a detector."""

    one_vs_rest: Tensor

    def __init__(self, *, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.num_features, self.num_classes = num_features, num_classes
        self.classify = nn.Linear(num_features, num_classes + 1)
        self.regress = nn.Linear(num_features, 4 * num_classes)
        self.register_buffer("one_vs_rest", torch.tensor(False))
        initialise([self.classify], partial(nn.init.normal_, std=0.01))
        initialise([self.regress], partial(nn.init.normal_, std=0.001))

    @abstractmethod
    def describe(self, rois: Float[Tensor, "r c s s2"]) -> Float[Tensor, "r d"]:
        """Compute the features that classes and boxes are read from."""

    def forward(self, rois: Float[Tensor, "r c s s2"]) -> BoxOutputs:
        return self.judge(self.describe(rois))

    def judge(self, features: Float[Tensor, "r d"]) -> BoxOutputs:
        """Compute logits and deltas of described RoIs."""
        deltas = self.regress(features).float().view(-1, self.num_classes, 4)
        return BoxOutputs(self.classify(features).float(), deltas)

    def probabilities(self, logits: Float[Tensor, "r c1"]) -> Float[Tensor, "r c"]:
        """Score each class from 0 to 1; an SVM's margin goes through a sigmoid, which keeps the order."""
        return logits[:, :-1].sigmoid().where(self.one_vs_rest, logits.softmax(1)[:, :-1])


class FeatureHead(BoxHead):
    """Two fully connected layers follow pooled features (Ren et al. 2015; Lin et al. 2017, FPN, section 4.2)."""

    def __init__(self, *, channels: int, size: int, num_classes: int, width: int = 1024) -> None:
        super().__init__(num_features=width, num_classes=num_classes)
        self.hidden = nn.ModuleList([nn.Linear(channels * size * size, width), nn.Linear(width, width)])

    def describe(self, rois: Float[Tensor, "r c s s2"]) -> Float[Tensor, "r d"]:
        x = rois.flatten(1)
        for layer in self.hidden:
            x = F.relu(layer(x))
        return x


class CropHead(BoxHead):
    """A network of its own sees each warped crop, `chunk` crops at a time (Girshick et al. 2014, R-CNN, section 2.1).

    Its features are the mean of the backbone's coarsest map.
    """

    def __init__(self, *, backbone: Backbone, num_classes: int, chunk: int = 128) -> None:
        super().__init__(num_features=backbone.channels[-1], num_classes=num_classes)
        self.backbone = backbone
        self.chunk = chunk

    def describe(self, rois: Float[Tensor, "r c s s2"]) -> Float[Tensor, "r d"]:
        if self.training:
            # all crops at once: batch statistics are those of the whole sample; where there are not two, blank ones
            # join them, for a variance and so that every parameter has a gradient
            blank = rois.new_zeros(max(0, 2 - len(rois)), *rois.shape[1:])
            return self._means(torch.cat([rois, blank]))[: len(rois)]
        # a graph has no loops; where it runs, memory is its runtime's affair
        parts = [rois] if torch.compiler.is_exporting() else torch.split(rois, self.chunk)
        return torch.cat([self._means(part) for part in parts])

    def _means(self, crops: Tensor) -> Tensor:
        means: Tensor = self.backbone(crops).levels[-1].mean((2, 3))
        return means


def box_losses(
    outputs: BoxOutputs, labels: Int64[Tensor, " r"], rois: Float[Tensor, "r 4"], objects: Float[Tensor, "r 4"]
) -> dict[str, Tensor]:
    """Compute the log loss of classes and smooth L1 of the boxes of what is no background (Fast R-CNN, section 2.3).

    `objects` are the boxes that the RoIs answer for; those of background RoIs are not looked at.
    """
    background = outputs.logits.shape[1] - 1
    count = max(1, len(labels))
    positive = (labels != background).nonzero()[:, 0]
    predicted = outputs.deltas[positive, labels[positive]]
    targets = encode_boxes(objects[positive], rois[positive], WEIGHTS)
    return {
        "class": F.cross_entropy(outputs.logits, labels, reduction="sum") / count,
        "box": F.smooth_l1_loss(predicted, targets, beta=SMOOTHNESS, reduction="sum") / count,
    }
