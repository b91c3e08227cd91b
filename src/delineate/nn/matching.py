"""Which object a box answers for; one matcher serves anchors, RoIs and default boxes."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.ops import box_iou

from delineate.ops.boxes import coverage
from delineate.values import Target

IGNORED_COVER = 0.5
"""A box of which more than this lies in a crowd or in a difficult object is no negative."""


class Matches(NamedTuple):
    """For each of A boxes whether it is a positive, whether a negative (neither: ignored), and its object's row.

    The rows are those of the target's ordinary objects (`objects_of`), and 0 where there are none.
    """

    positive: Bool[Tensor, " a"]
    negative: Bool[Tensor, " a"]
    rows: Int64[Tensor, " a"]


def objects_of(target: Target) -> Target:
    """The objects that are learned: neither crowds nor difficult ones."""
    return target[~target.ignored]


def match(
    boxes: Float[Tensor, "a 4"],
    target: Target,
    *,
    positive_iou: float,
    negative_iou: tuple[float, float],
    best_for_each: bool = False,
    one_for_each: bool = False,
) -> Matches:
    """Match boxes with the target's objects by IoU.

    A box is a positive of its best object from `positive_iou` on, a negative where its best IoU is in `negative_iou`
    `[low, high)`. With `best_for_each` the boxes with the highest IoU of an object are its positives however low that
    is (Ren et al. 2015, Faster R-CNN, section 3.1.2); with `one_for_each` one such box answers for that object and for
    no other (Liu et al. 2016, SSD, section 2.2). Crowds and difficult objects make no positives, and what they
    cover no negatives.
    """
    objects = objects_of(target).boxes.to(boxes.device)
    if len(objects):
        iou = box_iou(objects, boxes)
        best, rows = iou.max(0)
    else:
        best, rows = boxes.new_zeros(len(boxes)), torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    positive = best >= positive_iou if len(objects) else torch.zeros_like(best, dtype=torch.bool)
    negative = (best >= negative_iou[0]) & (best < negative_iou[1])
    if best_for_each and len(objects):
        highest = iou.amax(1, keepdim=True)
        positive |= ((iou == highest) & (highest > 0)).any(0)
    if one_for_each and len(objects):
        claimed = iou.argmax(1)
        positive[claimed] = True
        rows[claimed] = torch.arange(len(objects), device=boxes.device)
    negative &= ~positive
    negative &= coverage(boxes, target.boxes[target.ignored].to(boxes.device)) <= IGNORED_COVER
    return Matches(positive, negative, rows)
