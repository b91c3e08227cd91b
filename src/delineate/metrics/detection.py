"""Beside the average precision one looks at curves, confusions and the worst pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
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
    with which it is reached, or 0. `best` is where the class is found best.
    """

    precision: Float64[Tensor, "101"]
    scores: Float64[Tensor, "101"]
    best: "OperatingPoint"

    @property
    def ap(self) -> float:
        """The average precision is COCO's at one IoU."""
        return float(self.precision.mean())


class OperatingPoint(NamedTuple):
    """Of the detections of a `score` or more so many are right (precision), and so many objects are found (recall)."""

    score: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """F1 is the harmonic mean of both."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-12)


def best_f1(ranking: Ranking) -> OperatingPoint:
    """Find the score from which on F1 is largest; without a right detection it is 1, where nothing is found."""
    num_right, num_taken = ranking.correct.cumsum(0).double(), torch.arange(1, len(ranking.correct) + 1)
    f1 = 2 * num_right / (num_taken + ranking.num_objects)
    last = torch.cat([ranking.scores[:-1] > ranking.scores[1:], torch.ones(len(f1[:1]), dtype=torch.bool)])
    f1 = f1.where(last.to(f1.device), 0)  # equal scores are taken together
    if not len(f1) or not f1.max():
        return OperatingPoint(1.0, 0.0, 0.0)
    row = int(f1.argmax())
    right = float(num_right[row])
    return OperatingPoint(float(ranking.scores[row]), right / (row + 1), right / ranking.num_objects)


def of_all_classes(rankings: Sequence[Ranking]) -> Ranking:
    """Rank the detections of all classes together."""
    scores = torch.cat([ranking.scores for ranking in rankings])
    order = scores.argsort(descending=True, stable=True)
    correct = torch.cat([ranking.correct for ranking in rankings])[order]
    return Ranking(scores=scores[order], correct=correct, num_objects=sum(its.num_objects for its in rankings))


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
        best=best_f1(ranking),
    )


def detection_confusion(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    num_classes: int,
    *,
    score: float | Float[Tensor, " _c"] = LIKELY,
) -> Int64[Tensor, "n n"]:
    """Count how often an object of each class (row) was taken for each class (column); the last of both is background.

    Boxes scored `score` (of each class its own, where there are several) or more find objects, the highest first, at an
    IoU of 0.5 or more: an object of their class if they can, else one of another class that is left. The last row are
    detections of nothing, the last column missed objects, their common cell is 0. Detections of crowds and difficult
    objects, and these, are left out.
    """
    matrix = torch.zeros(num_classes + 1, num_classes + 1, dtype=torch.int64)
    for predicted, target in zip(detections, targets, strict=True):
        overlap, same = overlaps(predicted, target), same_class(predicted, target)
        likely = _likely(predicted, score)[:, None]
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


class Verdicts(NamedTuple):
    """Detections of a picture are right, wrong, or count for nothing, and objects of it are missed."""

    right: Bool[Tensor, " n"]
    wrong: Bool[Tensor, " n"]
    missed: Bool[Tensor, " t"]


def judge(predicted: Detections, target: Target, score: float | Float[Tensor, " _c"] = LIKELY) -> Verdicts:
    """Say of the detections scored `score` or more which are right, and which objects none of them finds.

    Right is the box of an object's class that finds it at an IoU of 0.5 or more. Crowds, difficult objects, and
    detections of them count for nothing.
    """
    likely = _likely(predicted, score)
    matches = match_detections(overlaps(predicted, target) * same_class(predicted, target) * likely[:, None], target)
    right = matches.objects >= 0
    missed = ~target.ignored
    missed[matches.objects[right]] = False
    return Verdicts(right=right, wrong=likely & ~matches.neutral & ~right, missed=missed)


def _likely(predicted: Detections, score: float | Float[Tensor, " _c"]) -> Bool[Tensor, " n"]:
    return predicted.scores >= (score.to(predicted.scores)[predicted.labels] if isinstance(score, Tensor) else score)


def worst_pictures(
    detections: Sequence[Detections], targets: Sequence[Target], score: float | Float[Tensor, " _c"] = LIKELY
) -> list[PictureMistakes]:
    """Find the pictures with a mistake, as `judge` has it, those with most first."""
    mistakes = []
    for index, (predicted, target) in enumerate(zip(detections, targets, strict=True)):
        verdicts = judge(predicted, target, score)
        num_missed, num_false = int(verdicts.missed.sum()), int(verdicts.wrong.sum())
        if num_missed or num_false:
            mistakes.append(PictureMistakes(index=index, num_missed=num_missed, num_false=num_false))
    return sorted(mistakes, key=lambda picture: -picture.num_missed - picture.num_false)
