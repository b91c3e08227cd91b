"""From the scores of many boxes to the detections of one picture."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.ops import clip_boxes_to_image, nms

SMALLEST_SIDE = 1e-2
CHUNK = 1000
"""Boxes that go through NMS at once: its time grows with their square."""


class Found(NamedTuple):
    """The detections of one picture, best first."""

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, " n"]
    labels: Int64[Tensor, " n"]


@torch.no_grad()
def select(
    scores: Float[Tensor, "r c"],
    boxes_of: Callable[[Tensor, Tensor], Tensor],
    image_size: tuple[int, int],
    *,
    score_threshold: float,
    nms_threshold: float,
    max_detections: int,
    max_candidates: int | None = None,
) -> Found:
    """Every class of every box that scores above the threshold, thinned out by NMS class by class.

    `boxes_of(rows, labels)` decodes the boxes of those alone: of a thousand boxes and eighty classes, a small part.
    With `max_candidates`, at most so many of a class go through NMS, the best.
    """
    if max_candidates is None:
        rows, labels = (scores > score_threshold).nonzero().unbind(1)
    else:
        best, order = scores.topk(min(max_candidates, len(scores)), 0)
        places, labels = (best > score_threshold).nonzero().unbind(1)
        rows = order[places, labels]
    found = scores[rows, labels]
    boxes = clip_boxes_to_image(boxes_of(rows, labels), image_size)
    large = ((boxes[:, 2:] - boxes[:, :2]) >= SMALLEST_SIDE).all(1)
    boxes, found, labels = boxes[large], found[large], labels[large]
    # classes lie apart from each other, so that one NMS thins out all; in float64 that costs no precision
    apart = boxes.double() + (labels * (max(image_size) + 1)).double()[:, None]
    # from the best box to the worst, as NMS goes, and no further than it has to; what was suppressed suppresses nothing
    order = found.argsort(descending=True, stable=True)
    kept = order[:0]
    for chunk in torch.split(order, CHUNK):
        rows = torch.cat([kept, chunk])
        kept = rows[nms(apart[rows], found[rows].double(), nms_threshold)]
        if len(kept) >= max_detections:
            break
    kept = kept[:max_detections]
    return Found(boxes[kept], found[kept], labels[kept])
