"""Queries that are told of an object nearly all: they learn to say what and where it is, without any matching.

B  pictures    N  objects of the fullest picture    G  groups    Q  queries    C  classes; label C is no object

    group 1: boxes near each object | boxes farther from each, which are none     group 2: ...     the other queries
    └──────────────────────────── see each other, and the other queries ─────┘    └────────┘       see but themselves

Zhang et al. 2023, "DINO", section 3.3, contrastive denoising. Pictures with fewer objects have queries of nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_convert

from delineate.models.queries.matching import QueryObjects

NUM_DENOISED, OTHER_LABELS, BOX_NOISE = 100, 0.25, 1.0
"""So many objects are told in all, a quarter of the labels is drawn anew, and sides move by a half of the box at most,
or where they are to be none, by a half to a whole."""
EDGE = 1e-5
"""Shares of sides are this far from 0 and 1, as logits."""


class Told(NamedTuple):
    """Queries are told labels and boxes (logits); `pairs` are pictures, queries and objects that belong together."""

    labels: Int64[Tensor, "b t"]
    boxes: Float[Tensor, "b t 4"]
    pairs: Int64[Tensor, "3 m"]
    num_groups: int


class Denoising(nn.Module):
    """A label becomes what a query begins with; that of no object stays zero."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.labels = nn.Embedding(num_classes + 1, width, padding_idx=num_classes)
        nn.init.xavier_uniform_(self.labels.weight[:num_classes])

    def forward(self, objects: Sequence[QueryObjects]) -> tuple[Float[Tensor, "b t d"], Told]:
        """Tell queries of the objects of each picture, with noise."""
        told = tell(objects, self.num_classes)
        return self.labels(told.labels), told


def tell(objects: Sequence[QueryObjects], num_classes: int) -> Told:
    """Draw what queries are told of each object, in as many groups as there is room for, and in one at least."""
    counts = [len(one.labels) for one in objects]
    most = max(counts)
    num_groups = max(1, NUM_DENOISED // max(1, most))
    told = 2 * num_groups  # near each object, and farther away
    labels = torch.stack([F.pad(one.labels, (0, most - len(one.labels)), value=num_classes) for one in objects])
    boxes = torch.stack([F.pad(one.boxes, (0, 0, 0, most - len(one.boxes))) for one in objects])
    labels, boxes = labels.repeat(1, told), boxes.repeat(1, told, 1)
    farther = torch.arange(told, device=boxes.device).repeat_interleave(most)[:, None] % 2
    return Told(_other(labels, num_classes), _moved(boxes, farther), _pairs(counts, num_groups, labels), num_groups)


def _other(labels: Int64[Tensor, "b t"], num_classes: int) -> Int64[Tensor, "b t"]:
    """Draw some labels anew, but not those of no object."""
    chosen = torch.rand(labels.shape, device=labels.device) < OTHER_LABELS
    drawn = torch.randint(0, num_classes, labels.shape, device=labels.device)
    return drawn.where(chosen & (labels != num_classes), labels)


def _moved(boxes: Float[Tensor, "b t 4"], farther: Int64[Tensor, "t 1"]) -> Float[Tensor, "b t 4"]:
    """Move each side of each box in or out, and give the logits of what is left within the picture."""
    side = torch.randint_like(boxes, 0, 2) * 2 - 1
    steps = (torch.rand_like(boxes) + farther) * side * BOX_NOISE
    corners = box_convert(boxes, "cxcywh", "xyxy") + steps * (boxes[..., 2:] / 2).repeat(1, 1, 2)
    moved: Tensor = box_convert(corners.clamp(0, 1), "xyxy", "cxcywh").logit(EDGE)
    return moved


def _pairs(counts: Sequence[int], num_groups: int, like: Tensor) -> Int64[Tensor, "3 m"]:
    """Pair the queries near each object with it; the object is a row among those of all pictures."""
    most, pairs, before = max(counts), [], 0
    for picture, count in enumerate(counts):
        rows = torch.arange(count).repeat(num_groups)
        groups = torch.arange(num_groups).repeat_interleave(count)
        pairs.append(torch.stack([torch.full_like(rows, picture), groups * 2 * most + rows, before + rows]))
        before += count
    return torch.cat(pairs, 1).to(like)


def seen_by(num_told: int, num_groups: int, num_queries: int, device: torch.device) -> Bool[Tensor, "1 q q"]:
    """Tell which query sees which: what is told stays within its group, and the other queries see but each other."""
    groups = torch.arange(num_told, device=device) // max(1, num_told // num_groups)
    group = F.pad(groups, (0, num_queries), value=num_groups)
    return ((group[:, None] == group) | (group == num_groups))[None]
