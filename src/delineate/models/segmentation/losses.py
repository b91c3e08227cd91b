"""Losses are means over pixels; those of value `IGNORE` carry none.

B pictures, C classes, H x W pixels.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from delineate.values import IGNORE


def cross_entropy(
    logits: Float[Tensor, "b c h w"], label_maps: Int64[Tensor, "b h w"], class_weights: Float[Tensor, " c"]
) -> Float[Tensor, ""]:
    """Average the cross-entropy over the pixels that count, weighted by class; it is 0 when none counts."""
    total = F.cross_entropy(logits, label_maps, class_weights, ignore_index=IGNORE, reduction="sum")
    counted = label_maps != IGNORE
    weight = class_weights[label_maps.where(counted, 0)].where(counted, 0).sum()
    return total / weight.clamp(min=1e-12)


def dice(logits: Float[Tensor, "b c h w"], label_maps: Int64[Tensor, "b h w"]) -> Float[Tensor, ""]:
    """Average one minus the soft Dice coefficient over the classes that the batch holds.

    Milletari et al. 2016, V-Net, section 3, with plain sums in the denominator.
    """
    counted = (label_maps != IGNORE)[:, None]
    probabilities = logits.softmax(1) * counted
    classes = label_maps.where(counted[:, 0], 0)[:, None]
    truth = torch.zeros_like(probabilities).scatter_(1, classes, counted.to(probabilities.dtype))
    overlap = (probabilities * truth).sum((0, 2, 3))
    sizes = probabilities.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    present = truth.sum((0, 2, 3)) > 0
    losses = (1 - 2 * overlap / sizes.clamp(min=1e-6)).where(present, 0)
    return losses.sum() / present.sum().clamp(min=1)
