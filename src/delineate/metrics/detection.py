"""Beside the average precision one looks at curves, confusions and the worst pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from delineate.metrics.matching import Ranking, match_detections, overlaps, rank_detections, same_class
from delineate.values import Content, Detections, Target

LIKELY = 0.5
"""A detection of this score or more is taken at its word: it is rather right than wrong."""

NUM_RECALLS = 101


@dataclass(frozen=True, kw_only=True, eq=False)
class PrecisionRecall:
    """The curve of one class is given at the recalls 0, 0.01, ... 1.

    `precision` is the largest at that recall or more, 0 where it is not reached; `scores` are those of the detections
    with which it is reached, or 0.
    """

    precision: Float64[Tensor, "101"]
    scores: Float64[Tensor, "101"]

    @property
    def ap(self) -> float:
        """The average precision is COCO's at one IoU."""
        return float(self.precision.mean())


def precision_recall(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    names: Sequence[str],
    *,
    kind: Content = "boxes",
) -> dict[str, PrecisionRecall]:
    """Compute each class's curve at an IoU of 0.5, interpolated as COCO does (`accumulate` in its `cocoeval.py`).

    A class without objects has none.

    Raises `InputError` where no picture has an object that counts, or masks are asked for and not there.
    """
    rankings = rank_detections(detections, targets, len(names), kind=kind)
    return {
        name: interpolated_curve(ranking) for name, ranking in zip(names, rankings, strict=True) if ranking.num_objects
    }


def interpolated_curve(ranking: Ranking) -> PrecisionRecall:
    """Interpolate the curve of a class that has objects."""
    recall, precision = ranking.curve()
    first = np.searchsorted(recall, np.linspace(0, 1, NUM_RECALLS))  # COCO's own, to the last bit
    beyond = np.zeros(1)
    reached = np.minimum(first, len(recall))
    return PrecisionRecall(
        precision=torch.from_numpy(np.concatenate([precision, beyond])[reached]),
        scores=torch.from_numpy(np.concatenate([ranking.scores.double().cpu().numpy(), beyond])[reached]),
    )


def detection_confusion(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    num_classes: int,
    *,
    score: float = LIKELY,
) -> Int64[Tensor, "n n"]:
    """Count how often an object of each class (row) was taken for each class (column); the last of both is background.

    Boxes scored `score` or more find objects, the highest first, at an IoU of 0.5 or more: an object of their class if
    they can, else one of another class that is left. The last row are detections of nothing, the last column missed
    objects, their common cell is 0. Detections of crowds and difficult objects, and these, are left out.
    """
    matrix = torch.zeros(num_classes + 1, num_classes + 1, dtype=torch.int64)
    for predicted, target in zip(detections, targets, strict=True):
        overlap, same = overlaps(predicted, target), same_class(predicted, target)
        likely = predicted.scores[:, None] >= score
        own = match_detections(overlap * (same & likely), target)
        seen = torch.zeros(len(target) + 1, dtype=torch.bool)
        seen[own.objects] = True
        lost = target.ignored | seen[:-1]
        left = (own.objects < 0) & ~own.neutral & likely[:, 0]
        other = match_detections(overlap * left[:, None] * ~lost, target)
        objects = own.objects.maximum(other.objects)
        seen[objects] = True
        # The row -1 of those that find no object is the background's.
        truth = torch.cat([target.labels, torch.tensor([num_classes])])[objects]
        counted = likely[:, 0] & ~own.neutral
        cells = truth[counted] * len(matrix) + predicted.labels[counted]
        missed = target.labels[~(seen[:-1] | target.ignored)] * len(matrix) + num_classes
        matrix += torch.cat([cells, missed]).bincount(minlength=matrix.numel()).view_as(matrix)
    return matrix


@dataclass(frozen=True, kw_only=True)
class PictureMistakes:
    """The picture of an index misses so many objects and has so many false detections."""

    index: int
    num_missed: int
    num_false: int


def worst_pictures(detections: Sequence[Detections], targets: Sequence[Target]) -> list[PictureMistakes]:
    """Find the pictures with a mistake, those with most first.

    A mistake is an object that no box of its class, scored `LIKELY` or more, finds at an IoU of 0.5 or more, and such
    a box that finds none. Crowds, difficult objects and their detections are none.
    """
    mistakes = []
    for index, (predicted, target) in enumerate(zip(detections, targets, strict=True)):
        likely = predicted.scores >= LIKELY
        matches = match_detections(
            overlaps(predicted, target) * same_class(predicted, target) * likely[:, None], target
        )
        num_found = int((matches.objects >= 0).sum())
        num_missed = int((~target.ignored).sum()) - num_found
        num_false = int((likely & ~matches.neutral).sum()) - num_found
        if num_missed or num_false:
            mistakes.append(PictureMistakes(index=index, num_missed=num_missed, num_false=num_false))
    return sorted(mistakes, key=lambda picture: -picture.num_missed - picture.num_false)
