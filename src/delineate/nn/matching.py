"""One matcher tells which object an anchor, a RoI or a default box answers for."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.ops import box_iou

from delineate.ops.boxes import coverage
from delineate.values import Truth

IGNORED_COVER = 0.5
"""A box of which more than this lies in a crowd or in a difficult object is no negative."""


class Matches(NamedTuple):
    """Each of A boxes is a positive, a negative or ignored (neither), and has the row of an object.

    The rows are those of the truth, and 0 where it has no objects.
    """

    positive: Bool[Tensor, " a"]
    negative: Bool[Tensor, " a"]
    rows: Int64[Tensor, " a"]


def match(
    boxes: Float[Tensor, "a 4"],
    truth: Truth,
    *,
    positive_iou: float,
    negative_iou: tuple[float, float],
    best_for_each: bool = False,
    one_for_each: bool = False,
    valid: Bool[Tensor, " a"] | None = None,
) -> Matches:
    """Match boxes with the objects of a picture by IoU.

    A box is a positive of its best object from `positive_iou` on, a negative where its best IoU is in `negative_iou`
    `[low, high)`. With `best_for_each` the boxes with the highest IoU of an object are its positives however low that
    is (Ren et al. 2015, Faster R-CNN, section 3.1.2); with `one_for_each` one such box answers for that object and for
    no other (Liu et al. 2016, SSD, section 2.2). What crowds and difficult objects cover makes no negatives. Boxes
    that are not `valid`, such as padding, are neither.
    """
    if valid is None:
        valid = torch.ones_like(boxes[:, 0], dtype=torch.bool)
    best, rows = torch.zeros_like(boxes[:, 0]), torch.zeros_like(boxes[:, 0], dtype=torch.int64)
    positive = torch.zeros_like(valid)
    num_objects = truth.boxes.shape[0]
    if num_objects:
        iou = box_iou(truth.boxes, boxes).where(valid, -1.0)
        best, rows = iou.max(0)
        positive = best >= positive_iou
        if best_for_each:
            highest = iou.amax(1, keepdim=True)
            positive |= ((iou == highest) & (highest > 0)).any(0)
        if one_for_each:
            owners = own_boxes(iou)
            positive |= owners >= 0
            rows = owners.where(owners >= 0, rows)
    negative = (best >= negative_iou[0]) & (best < negative_iou[1]) & ~positive
    negative &= coverage(boxes, truth.ignored) <= IGNORED_COVER
    return Matches(positive & valid, negative & valid, rows)


def own_boxes(iou: Float[Tensor, "g a"]) -> Int64[Tensor, " a"]:
    """Give each of G objects a box of its own among A, and of each box the object that it is of, -1 of most.

    Of all pairs the one with the highest IoU comes first, as in the authors' code (`MatchBBox`); an object that no free
    box overlaps has none. Nothing is read from the device.
    """
    num_objects, num_boxes = iou.shape
    owners = torch.full((num_boxes,), -1, device=iou.device)
    # others have taken no more than G - 1 boxes, so that an object's is among its G best
    count = min(num_objects, num_boxes)
    overlaps, boxes = iou.topk(count)
    for _ in range(count):
        highest = overlaps.argmax()[None]
        box, free = boxes.take(highest), overlaps.take(highest) > 0
        owners[box] = (highest // count).where(free, owners[box])
        overlaps = overlaps.where(boxes != box, -1.0).index_fill(0, highest // count, -1.0)
    return owners
