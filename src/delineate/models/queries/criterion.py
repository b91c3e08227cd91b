"""RT-DETR's criterion: what a pair of a query and an object costs, and what queries learn of classes.

B  pictures, those of all layers one after another    Q  queries    C  classes    M  pairs    L  layers
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_convert

from delineate.models.queries.decoder import Said
from delineate.ops.boxes import paired_iou

CLASS_COST, ALPHA, GAMMA = 2.0, 0.25, 2.0
"""The cost of a class is that of the focal loss, as in Deformable DETR."""
NEGATIVE_WEIGHT = 0.75
"""A class that is not there weighs so much, times its probability to the power of `GAMMA`."""


def on_every_layer(pairs: Int64[Tensor, "3 m"], said: Said) -> Int64[Tensor, "3 lm"]:
    """Repeat the pairs of pictures, queries and objects for each layer, whose pictures follow one another."""
    num_layers, num_pictures = said.logits.shape[:2]
    firsts = torch.arange(num_layers, device=pairs.device).repeat_interleave(pairs.shape[1]) * num_pictures
    repeated = pairs.repeat(1, num_layers)
    return torch.stack([repeated[0] + firsts, repeated[1], repeated[2]])


def fit(boxes: Float[Tensor, "m 4"], targets: Float[Tensor, "m 4"]) -> Float[Tensor, " m"]:
    """Measure the IoU of each box with its target."""
    return paired_iou(box_convert(boxes, "cxcywh", "xyxy"), box_convert(targets, "cxcywh", "xyxy"))


def varifocal_losses(
    logits: Float[Tensor, "b q c"],
    rows: Int64[Tensor, " m"],
    queries: Int64[Tensor, " m"],
    labels: Int64[Tensor, " m"],
    fits: Float[Tensor, " m"],
) -> Float[Tensor, "b q"]:
    """Compute the loss of each query: classes of pairs learn how well the box fits, all others that they are not there.

    Zhang et al. 2021, VarifocalNet, equation 2, with a target that RT-DETR, section 4.3, gives to both IoU and class.
    """
    place = rows, queries, labels
    target = torch.zeros_like(logits).index_put(place, fits)
    there = torch.zeros_like(logits).index_put(place, torch.ones_like(fits))
    weights = NEGATIVE_WEIGHT * logits.detach().sigmoid() ** GAMMA * (1 - there) + target
    return F.binary_cross_entropy_with_logits(logits, target, weights, reduction="none").sum(-1)


def class_cost(logits: Float[Tensor, "q c"], labels: Int64[Tensor, " n"]) -> Float[Tensor, "q n"]:
    """Weigh what it would cost in the focal loss that a query has the class of an object, less that it has not."""
    likely = logits.sigmoid()[:, labels]
    has = ALPHA * (1 - likely) ** GAMMA * -(likely + 1e-8).log()
    has_not = (1 - ALPHA) * likely**GAMMA * -(1 - likely + 1e-8).log()
    return CLASS_COST * (has - has_not)
