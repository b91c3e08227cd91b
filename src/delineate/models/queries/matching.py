"""The objects of a picture are matched with its queries one to one, where all pairs together cost least.

Q  queries    N  objects of a picture    C  outputs of the class head    M  pairs of all pictures
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_convert, generalized_box_iou

from delineate.nn.matching import IGNORED_COVER
from delineate.ops.boxes import coverage
from delineate.values import Truth

BOX_COST, GIOU_COST = 5.0, 2.0
"""Carion et al. 2020, DETR, appendix A.4 weighs matching and losses so, and so do those after it."""
UNKNOWN = 1e6
"""A query costs as much of which nothing is known."""

ClassCost = Callable[[Tensor, Tensor], Tensor]
"""Takes the logits of queries and the labels of objects, and says what each query costs for each object."""


class QueryObjects(NamedTuple):
    """A picture has these objects, their boxes as shares of its sides, and what is neither object nor background."""

    labels: Int64[Tensor, " n"]
    boxes: Float[Tensor, "n 4"]
    ignored: Float[Tensor, "m 4"]

    @classmethod
    def of(cls, truth: Truth) -> "QueryObjects":
        """Take the objects of a picture."""
        height, width = truth.image_size
        sides = truth.boxes.new_tensor([width, height, width, height])
        return cls(truth.labels, box_convert(truth.boxes / sides, "xyxy", "cxcywh"), truth.ignored / sides)

    def repeated(self, times: int, *, most: int) -> "QueryObjects":
        """Repeat every object `times` times; fewer, but at least once, where that makes more than `most`."""
        times = max(1, min(times, most // max(1, len(self.labels))))
        return QueryObjects(self.labels.repeat(times), self.boxes.repeat(times, 1), self.ignored)


@torch.no_grad()
def assign(
    logits: Float[Tensor, "b q c"],
    boxes: Float[Tensor, "b q 4"],
    objects: Sequence[QueryObjects],
    class_cost: ClassCost,
) -> Int64[Tensor, "3 m"]:
    """Find the cheapest one-to-one assignment in each picture: pictures, queries, and rows among all objects.

    DETR, section 3.1, equation 1. The costs of all pictures come to the host at once.
    """
    costs = torch.cat([_costs(*picture, class_cost) for picture in zip(logits, boxes, objects, strict=True)], 1)
    costs = costs.nan_to_num(nan=UNKNOWN)  # the loss says it, and of which pictures
    ends = np.cumsum([len(one.labels) for one in objects])
    assigned = []
    for picture, (own, end) in enumerate(zip(np.split(costs.cpu().numpy(), ends[:-1], 1), ends, strict=True)):
        queries, rows = linear_sum_assignment(own)
        assigned.append(np.stack([np.full_like(queries, picture), queries, rows + end - own.shape[1]]))
    return torch.as_tensor(np.concatenate(assigned, 1), device=logits.device)


def _costs(
    logits: Float[Tensor, "q c"], boxes: Float[Tensor, "q 4"], objects: QueryObjects, class_cost: ClassCost
) -> Float[Tensor, "q n"]:
    """Say what each query costs for each object of a picture."""
    distance = torch.cdist(boxes, objects.boxes, p=1)
    giou = generalized_box_iou(box_convert(boxes, "cxcywh", "xyxy"), box_convert(objects.boxes, "cxcywh", "xyxy"))
    costs: Tensor = BOX_COST * distance + class_cost(logits, objects.labels) - GIOU_COST * giou
    return costs


def box_losses(boxes: Float[Tensor, "m 4"], targets: Float[Tensor, "m 4"], count: int) -> dict[str, Tensor]:
    """Weigh the L1 and the generalised IoU of boxes and what they should be, added up over pairs and over `count`."""
    giou = generalized_box_iou(*(box_convert(side, "cxcywh", "xyxy") for side in (boxes, targets))).diagonal()
    return {
        "box": BOX_COST * F.l1_loss(boxes, targets, reduction="sum") / count,
        "giou": GIOU_COST * (1 - giou).sum() / count,
    }


def on_ignored(boxes: Float[Tensor, "b q 4"], objects: Sequence[QueryObjects]) -> Bool[Tensor, "b q"]:
    """Tell which queries say a box that a crowd or a difficult object covers."""
    pairs = zip(box_convert(boxes.detach(), "cxcywh", "xyxy"), objects, strict=True)
    return torch.stack([coverage(corners, one.ignored) > IGNORED_COVER for corners, one in pairs])


def in_pixels(boxes: Float[Tensor, "*q 4"], size: tuple[int, int]) -> Float[Tensor, "*q 4"]:
    """Make boxes `x1 y1 x2 y2` in pixels of an input of `(height, width)` of shares of its sides."""
    height, width = size
    cx, cy, w, h = boxes.unbind(-1)
    pixels: Tensor = box_convert(torch.stack([cx * width, cy * height, w * width, h * height], -1), "cxcywh", "xyxy")
    return pixels
