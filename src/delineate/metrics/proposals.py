"""Proposals are measured by how many objects they cover, of whatever class, but crowds and difficult ones."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from delineate.metrics.matching import NOTHING, box_overlaps
from delineate.values import InputError, Target

THRESHOLDS = tuple((50 + 5 * step) / 100 for step in range(10))


def proposal_recall(
    proposals: Sequence[Float[Tensor, "_p 4"]],
    targets: Sequence[Target],
    num_proposals: Sequence[int],
    iou: float = 0.5,
) -> dict[int, float]:
    """Measure the share of objects that one of the first proposals of their picture overlaps by `iou` or more.

    Boxes are `x1 y1 x2 y2`, the likeliest first; a picture with fewer than asked for gives all it has. The result has
    one entry for each of `num_proposals`. One proposal may cover several objects.

    Raises `InputError` where no picture has an object that counts.
    """
    best, _ = _best_overlaps(proposals, targets, num_proposals)
    return dict(zip(num_proposals, (best >= iou).double().mean(0).tolist(), strict=True))


def average_recall(
    proposals: Sequence[Float[Tensor, "_p 4"]], targets: Sequence[Target], num_proposals: Sequence[int]
) -> dict[int, float]:
    """Average the recall of `proposal_recall` over the IoUs 0.50, 0.55, ... 0.95.

    Hosang et al. 2016, What makes for effective detection proposals?, section 5, with COCO's thresholds in place of
    the integral.
    """
    best, _ = _best_overlaps(proposals, targets, num_proposals)
    recalls = torch.stack([(best >= iou).double().mean(0) for iou in THRESHOLDS])
    return dict(zip(num_proposals, recalls.mean(0).tolist(), strict=True))


def mean_average_best_overlap(
    proposals: Sequence[Float[Tensor, "_p 4"]], targets: Sequence[Target], num_proposals: Sequence[int]
) -> dict[int, float]:
    """Average the largest IoU of each object with a proposal over a class, then over the classes (MABO).

    Uijlings et al. 2013, Selective Search for Object Recognition, section 5. Arguments, result and errors as
    `proposal_recall`; a class without objects is left out.
    """
    best, labels = _best_overlaps(proposals, targets, num_proposals)
    classes = [best[labels == label].mean(0) for label in set(labels.tolist())]
    return dict(zip(num_proposals, torch.stack(classes).mean(0).tolist(), strict=True))


def _best_overlaps(
    proposals: Sequence[Float[Tensor, "_p 4"]], targets: Sequence[Target], num_proposals: Sequence[int]
) -> tuple[Float64[Tensor, "o n"], Int64[Tensor, " o"]]:
    """Find each object's largest IoU with the first so many proposals, and its class."""
    assert min(num_proposals) > 0, num_proposals
    best, labels = [], []
    for boxes, target in zip(proposals, targets, strict=True):
        counted = ~target.ignored
        overlap = box_overlaps(boxes, target.boxes[counted])
        if len(boxes):
            rows = torch.tensor(num_proposals).clamp(max=len(boxes)) - 1
            best.append(overlap.cummax(0).values[rows].T)
        else:
            best.append(overlap.new_zeros(int(counted.sum()), len(num_proposals)))
        labels.append(target.labels[counted])
    if not sum(len(picture) for picture in labels):
        raise InputError(NOTHING)
    return torch.cat(best), torch.cat(labels)
