"""Localization and pose share a small map of the whole picture, fully connected heads, and losses of places."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

CELLS = 7
"""The map that is flattened has this side: averaged as a whole, it would not know any more where things are."""
BETA = 0.02
"""Smooth L1 goes from squares to distances at this share of the picture's sides."""


class Flattened(nn.Module):
    """A feature map of any size becomes `width * 49` values of a picture."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(
            nn.Conv2d(in_channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.num_values = width * CELLS**2

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b _v"]:
        return F.adaptive_avg_pool2d(self.project(x), CELLS).flatten(1)


class Head(nn.Module):
    """Two fully connected layers begin with outputs near `begin`.

    What is hidden is normalised: its many inputs grow together in the first steps, and would switch most of it off. A
    share of it, `dropout`, drops in training. All is computed in float32: in bfloat16 a place would be rounded to a
    pixel.
    """

    def __init__(
        self, num_values: int, hidden: int, num_outputs: int, *, begin: float = 0.0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.hidden, self.norm = nn.Linear(num_values, hidden), nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(hidden, num_outputs)
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.constant_(self.last.bias, begin)

    def forward(self, values: Float[Tensor, "b v"]) -> Float[Tensor, "b o"]:
        with torch.autocast(values.device.type, enabled=False):
            hidden = F.relu(self.norm(self.hidden(values.float())))
            outputs: Tensor = self.last(self.dropout(hidden))
        return outputs


def place_loss(
    predicted: Float[Tensor, "*n d"], targets: Float[Tensor, "*n d"], kind: Literal["l1", "l2", "smooth_l1"]
) -> Float[Tensor, "*n"]:
    """Sum the loss of each row over its values, which are shares of the picture's sides."""
    if kind == "l1":
        return F.l1_loss(predicted, targets, reduction="none").sum(-1)
    if kind == "l2":
        return F.mse_loss(predicted, targets, reduction="none").sum(-1)
    return F.smooth_l1_loss(predicted, targets, reduction="none", beta=BETA).sum(-1)


def sides(image_size: tuple[int, int], like: Tensor) -> Float[Tensor, "2"]:
    """Give `(width, height)` to multiply `(x, y)` with."""
    return like.new_tensor([image_size[1], image_size[0]])
