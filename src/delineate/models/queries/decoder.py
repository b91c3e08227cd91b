"""The decoder: queries look at each other and at the memory around their boxes, and each layer moves the boxes.

B  pictures    L  layers    Q  queries    C  classes    D  width

Boxes are `cx cy w h` as shares of the picture's sides. A layer begins with the boxes of the one before it, which learns
nothing from what the layer makes of them but through its own answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from delineate.models.queries.deformable import DeformableAttention, Memory
from delineate.models.queries.denoising import EDGE
from delineate.models.queries.selection import MLP, class_layer
from delineate.models.queries.transformer import Attention, FeedForward


class Edges(NamedTuple):
    """Where boxes are distributions: how far each edge is, in logits of steps, from that of the box it began with."""

    logits: Float[Tensor, "l b q 4 n"]
    begun: Float[Tensor, "b q 4"]


class Said(NamedTuple):
    """Each layer says a class and a box of each query."""

    logits: Float[Tensor, "l b q c"]
    boxes: Float[Tensor, "l b q 4"]
    edges: Edges | None = None

    def split(self, count: int) -> tuple["Said", "Said"]:
        """Part what the first `count` queries say from what the others say."""
        sizes = [count, self.logits.shape[2] - count]
        (first, last), (near, far) = torch.split(self.logits, sizes, 2), torch.split(self.boxes, sizes, 2)
        if self.edges is None:
            return Said(first, near), Said(last, far)
        parts = zip(torch.split(self.edges.logits, sizes, 2), torch.split(self.edges.begun, sizes, 1), strict=True)
        some, others = (Edges(*part) for part in parts)
        return Said(first, near, some), Said(last, far, others)


class Residual(nn.Module):
    """What was seen is added, and normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "b q d"], seen: Float[Tensor, "b q d"]) -> Float[Tensor, "b q d"]:
        out: Tensor = self.norm(x + seen)
        return out


class DecoderLayer(nn.Module):
    """Queries look at each other, then around their boxes; `join` puts together what they were and have seen."""

    def __init__(self, *, width: int, num_heads: int, hidden: int, look: DeformableAttention, join: nn.Module) -> None:
        super().__init__()
        self.attention, self.attention_norm = Attention(width, num_heads), nn.LayerNorm(width)
        self.look, self.join = look, join
        self.feed_forward, self.feed_forward_norm = FeedForward(width, hidden), nn.LayerNorm(width)

    def forward(
        self,
        x: Float[Tensor, "b q d"],
        places: Float[Tensor, "b q d"],
        boxes: Float[Tensor, "b q 4"],
        memory: Memory,
        seen: Bool[Tensor, "1 q q"] | None,
    ) -> Float[Tensor, "b q d"]:
        placed = x + places
        x = self.attention_norm(x + self.attention(placed, placed, x, seen=seen))
        x = self.join(x, self.look(x + places, boxes, memory))
        out: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
        return out


class Decoder(nn.Module):
    """Every layer says by how much the box of a query moves, in logits (Zhu et al. 2021, Deformable DETR, A.4).

    What it learns from its box reaches the answer of the layer before, and no farther (Zhang et al. 2023, DINO, 3.5).
    """

    def __init__(self, layers: Sequence[DecoderLayer], *, width: int, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.place = MLP(4, 2 * width, width)
        self.classify = nn.ModuleList(class_layer(width, num_classes) for _ in layers)
        self.regress = nn.ModuleList(MLP(width, width, width, 4).begin_with_zeros() for _ in layers)

    def forward(
        self,
        content: Float[Tensor, "b q d"],
        boxes: Float[Tensor, "b q 4"],
        memory: Memory,
        seen: Bool[Tensor, "1 q q"] | None = None,
    ) -> Said:
        """Begin with what queries know, and with the logits of their boxes; `seen` says which query sees which."""
        x, before = content, boxes.detach().sigmoid()
        logits, said = [], []
        for layer, classify, regress in zip(self.layers, self.classify, self.regress, strict=True):
            here = before.detach()
            x = layer(x, self.place(here), here, memory, seen)
            moved = regress(x).float()
            logits.append(classify(x).float())
            said.append((moved + before.logit(EDGE)).sigmoid())
            before = (moved + here.logit(EDGE)).sigmoid()
        return Said(torch.stack(logits), torch.stack(said))

    def losses(
        self, said: Said, pairs: Int64[Tensor, "2 m"], targets: Float[Tensor, "m 4"], count: int
    ) -> dict[str, Tensor]:
        """Classes and boxes are all that is learned."""
        return {}
