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
CHUNK, FEW = 1000, 5
"""So many boxes go through NMS at once, as its time grows with their square, where they are more than `FEW` times those
that are asked for."""


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
    class_agnostic: bool = False,
) -> Selected:
    """Choose among every class of every box that scores above the threshold, by NMS class by class, or of all at once.

    Boxes are `x1 y1 x2 y2` in a picture of `size` `(height, width)`, and cut at its borders; those with a side below
    `SMALLEST_SIDE` go. One box for all classes may stand in the place of one for each. The thresholds are those of
    `values.Thresholds`.
    """
    boxes = clip(boxes, size)
    if max_candidates is not None:
        scores, rows = F.pad(scores, (0, max_candidates), value=NONE).topk(max_candidates)
        boxes = F.pad(boxes, (0, 0, 0, max_candidates))
        boxes = _rows(boxes.expand(-1, scores.shape[1], -1, -1), rows)
    large = ((boxes[..., 2:] - boxes[..., :2]) >= SMALLEST_SIDE).all(-1)
    scores = scores.where((scores > score) & large, NONE)
    boxes = boxes.expand(-1, scores.shape[1], -1, -1)
    if class_agnostic:
        together = keep_best(boxes.flatten(1, 2)[:, None], scores.flatten(1)[:, None], nms_iou, max_detections)
        kept = together.view_as(scores)
    else:
        kept = keep_best(boxes, scores, nms_iou, max_detections)
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
def keep_best(boxes: Tensor, scores: Tensor, iou: float, most: int) -> Tensor:
    """Mark the boxes `(B, G, N, 4)` that no better one of their group overlaps by more than `iou`.

    Those that score below 0 are none. Of each picture the `most` best are right, as no more are looked for. The answer
    is bool `(B, G, N)`: its shape, unlike that of indices, follows from shapes.
    """
    if iou >= 1:
        return (scores >= 0).contiguous()
    kept = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    for picture, values in enumerate(scores.flatten(1)):
        rows = (values >= 0).nonzero()[:, 0]
        own, values, groups = boxes[picture].flatten(0, 1)[rows], values[rows], rows // scores.shape[2]
        if len(rows) <= FEW * most:  # to stop early would save little
            chosen = _group_by_group(own, values, groups, iou)
        else:
            chosen = _best_first(own, values, groups, iou, most)
        kept[picture].view(-1)[rows[chosen]] = True
    return kept


def _group_by_group(
    boxes: Float[Tensor, "r 4"], scores: Float[Tensor, " r"], groups: Int64[Tensor, " r"], iou: float
) -> Int64[Tensor, " k"]:
    """Thin out each group by itself; the rows are ordered by groups."""
    counts = torch.bincount(groups, minlength=1).tolist()
    parts = torch.split(torch.arange(len(groups), device=groups.device), counts)
    return torch.cat([part[nms(boxes[part], scores[part], iou)] for part in parts])


def _best_first(
    boxes: Float[Tensor, "r 4"], scores: Float[Tensor, " r"], groups: Int64[Tensor, " r"], iou: float, most: int
) -> Int64[Tensor, " k"]:
    """Thin out all groups from the best box to the worst until `most` are left; others stay unknown."""
    # groups lie apart from each other, so that one NMS serves all; in float64 that costs no precision
    apart = boxes.double() + (groups * (boxes.amax().double() + 1))[:, None]
    chosen = groups[:0]
    for chunk in torch.split(scores.argsort(descending=True, stable=True), CHUNK):
        candidates = torch.cat([chosen, chunk])
        chosen = candidates[nms(apart[candidates], scores[candidates].double(), iou)]
        if len(chosen) >= most:
            break
    return chosen


@keep_best.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float, most: int) -> Bool[Tensor, "b g n"]:
    return scores.new_empty(scores.shape, dtype=torch.bool)
