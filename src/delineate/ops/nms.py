"""Non-maximum suppression as an operator of fixed shapes, so that what finds objects can be exported.

G  groups: what may suppress each other, such as the boxes of one class in one picture    N  boxes of a group
B  pictures    C  classes    M  candidates of a class    K  rows that come out of a picture
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms

NONE = -1.0
"""A row of this score holds nothing."""
SMALLEST_SIDE = 1e-2


class Selected(NamedTuple):
    """Each picture has its best boxes, scores descending, then rows that score `NONE`."""

    boxes: Float[Tensor, "b k 4"]
    scores: Float[Tensor, "b k"]
    labels: Int64[Tensor, "b k"]


def select(
    scores: Float[Tensor, "b c n"],
    boxes: Float[Tensor, "b c n 4"] | Float[Tensor, "b 1 n 4"],
    size: tuple[int, int],
    *,
    score: float,
    nms_iou: float,
    max_candidates: int | None,
    max_detections: int,
) -> Selected:
    """Choose among every class of every box that scores above the threshold, by NMS class by class.

    Boxes are `x1 y1 x2 y2` in a picture of `size` `(height, width)`, and cut at its borders; those with a side below
    `SMALLEST_SIDE` go. One box for all classes may stand in the place of one for each. The thresholds are those of
    `values.Thresholds`.
    """
    boxes = clip(boxes, size)
    large = ((boxes[..., 2:] - boxes[..., :2]) >= SMALLEST_SIDE).all(-1)
    scores = scores.where((scores > score) & large, NONE)
    if max_candidates is not None:
        scores, rows = F.pad(scores, (0, max_candidates), value=NONE).topk(max_candidates)
        boxes = F.pad(boxes, (0, 0, 0, max_candidates))
        boxes = _rows(boxes.expand(-1, scores.shape[1], -1, -1), rows)
    boxes = boxes.expand(-1, scores.shape[1], -1, -1)
    kept = keep_best(boxes.flatten(0, 1), scores.flatten(0, 1), nms_iou).view_as(scores)
    scores = scores.where(kept, NONE)
    labels = torch.arange(scores.shape[1], device=scores.device)[:, None].expand_as(scores)
    labelled = torch.cat([boxes, labels[..., None].to(boxes)], -1)
    scores, selected = best(scores.flatten(1), labelled.flatten(1, 2), max_detections)
    return Selected(selected[..., :4], scores, selected[..., 4].long())


def best(
    scores: Float[Tensor, "*b n"], values: Float[Tensor, "*b n d"], count: int
) -> tuple[Float[Tensor, "*b m"], Float[Tensor, "*b m d"]]:
    """Choose the `count` highest scores, descending, with their values; `NONE` and zeros where there are fewer.

    Of equal scores the first comes first.
    """
    scores, order = F.pad(scores, (0, count), value=NONE).sort(dim=-1, descending=True, stable=True)
    return scores[..., :count], _rows(F.pad(values, (0, 0, 0, count)), order[..., :count])


def _rows(values: Float[Tensor, "*b n d"], rows: Int64[Tensor, "*b m"]) -> Float[Tensor, "*b m d"]:
    return values.gather(-2, rows[..., None].expand(*rows.shape, values.shape[-1]))


def clip(boxes: Float[Tensor, "*n 4"], size: tuple[int, int]) -> Float[Tensor, "*n 4"]:
    """Cut the boxes at the borders of a picture of `(height, width)`."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], -1)


@torch.library.custom_op("delineate::keep_best", mutates_args=())
def keep_best(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Keep the boxes `(G, N, 4)` of scores from 0 on that no better one of their group overlaps by more than `iou`.

    The answer is bool `(G, N)`: its shape, unlike that of indices, follows from shapes.
    """
    kept = torch.zeros_like(scores, dtype=torch.bool)
    if iou >= 1:
        return scores >= 0
    groups, rows = (scores >= 0).nonzero(as_tuple=True)
    if boxes.is_cuda:  # one launch for all groups, which lie apart from each other; float64 costs no precision there
        apart = boxes.amax().double().clamp(min=0) + 1
        moved = boxes[groups, rows].double() + (groups * apart)[:, None]
        chosen = nms(moved, scores[groups, rows].double(), iou)
        kept[groups[chosen], rows[chosen]] = True
        return kept
    counts = torch.bincount(groups, minlength=len(scores)).tolist()
    for group, members in enumerate(torch.split(rows, counts)):
        if len(members):
            chosen = nms(boxes[group, members], scores[group, members], iou)
            kept[group, members[chosen]] = True
    return kept


@keep_best.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float) -> Bool[Tensor, "g n"]:
    return torch.empty_like(scores, dtype=torch.bool)
