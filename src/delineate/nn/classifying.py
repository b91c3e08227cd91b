"""Logits are compared with labels, and of what is learned some may count more: rare classes, and what is not yet right.

R  rows    L  logits: those of the classes and, in most systems, one of background or "no object" behind them
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

IGNORED = -100
"""A row with this label says nothing wrong."""

Compare = Callable[[Tensor, Tensor], Tensor]
"""Takes logits and labels, and gives the loss of each row."""


def log_loss(logits: Float[Tensor, "*r l"], labels: Int64[Tensor, " *r"]) -> Float[Tensor, " *r"]:
    """Compute the log loss of each row; it is 0 of those whose label is `IGNORED`."""
    losses = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return losses.view_as(labels)


class ClassLoss(nn.Module):
    """The loss of a softmax over classes: the log loss, until `weights` or `gamma` are changed before training.

    `weights` say how much an object of each class counts; what is no object counts 1. With `gamma` above 0 it is the
    focal loss, in which a row of which the right class has probability p counts `(1 - p)^gamma` (Lin et al. 2017,
    "Focal loss for dense object detection", equation 4). Both are the training's, and no part of the saved weights.
    """

    weights: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.gamma = 0.0
        self.register_buffer("weights", torch.ones(num_classes), persistent=False)

    def forward(self, logits: Float[Tensor, "*r l"], labels: Int64[Tensor, " *r"]) -> Float[Tensor, " *r"]:
        """Compute the loss of each row; it is 0 of those whose label is `IGNORED`."""
        losses = log_loss(logits, labels)
        if self.gamma:
            losses = losses * (1 - (-losses).exp()).clamp(min=1e-6) ** self.gamma
        weights = F.pad(self.weights, (0, logits.shape[-1] - len(self.weights)), value=1.0)
        return losses * weights[labels.clamp(min=0)]
