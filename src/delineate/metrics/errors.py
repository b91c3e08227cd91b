"""TIDE tells what the errors of a detector cost.

Bolya et al. 2020, TIDE: A General Toolbox for Identifying Object Detection Errors. Its section 2.2 defines the errors
by the largest IoU of a false positive with an object of its class and of another class; `t_f` is 0.5 and `t_b` 0.1.
Where more than one definition holds, the first is taken of localization, classification, duplicate, background and
both, as in the authors' own tool.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from delineate.metrics.detection import interpolated_curve
from delineate.metrics.matching import FOUND_IOU, count_objects, match_detections, overlaps, same_class, split_ranking
from delineate.values import Content, Detections, Target

ERRORS = ("classification", "localization", "both", "duplicate", "background", "missed")
CLASSIFICATION, LOCALIZATION, BOTH, DUPLICATE, BACKGROUND, _ = range(len(ERRORS))
CORRECT = -1
BACKGROUND_IOU = 0.1


@dataclass(frozen=True, kw_only=True)
class ErrorBreakdown:
    """The AP at an IoU of 0.5, and for each of `ERRORS` how much it would gain without them, and their number."""

    ap50: float
    gains: dict[str, float]
    counts: dict[str, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Verdicts:
    """Each of D detections has an error (or is `CORRECT`) and an object that it should have been, of O.

    `object_found` says which objects a detection was right about.
    """

    scores: Float[Tensor, " d"]
    labels: Int64[Tensor, " d"]
    errors: Int64[Tensor, " d"]
    objects: Int64[Tensor, " d"]
    object_labels: Int64[Tensor, " o"]
    object_found: Bool[Tensor, " o"]

    @property
    def missed(self) -> Bool[Tensor, " o"]:
        """Missed are the objects not found that no classification or localization error explains either."""
        missed = ~self.object_found
        missed[self.objects[(self.errors == CLASSIFICATION) | (self.errors == LOCALIZATION)]] = False
        return missed


def error_breakdown(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    num_classes: int,
    *,
    kind: Content = "boxes",
) -> ErrorBreakdown:
    """Count the errors, and the AP that mending all of one sort would gain (the paper's delta AP), never below 0.

    AP is COCO's at an IoU of 0.5, without a limit to the detections of a picture. Crowds, difficult objects
    and detections of them are left out. A class of which every object is missed has an AP of 1 with those mended.

    Raises `InputError` where no picture has an object that counts, or masks are asked for and not there.
    """
    num_objects = count_objects(targets, num_classes)
    verdicts = _judge(detections, targets, kind)
    ap50 = _mean_ap(verdicts.scores, verdicts.labels, verdicts.errors == CORRECT, num_objects, num_objects)
    mended = [_mended_ap(verdicts, error, num_objects) for error in range(len(ERRORS) - 1)]
    left = num_objects - verdicts.object_labels[verdicts.missed].bincount(minlength=num_classes)
    mended.append(_mean_ap(verdicts.scores, verdicts.labels, verdicts.errors == CORRECT, left, num_objects))
    counts = [*((verdicts.errors == error).sum() for error in range(len(ERRORS) - 1)), verdicts.missed.sum()]
    return ErrorBreakdown(
        ap50=ap50,
        gains={name: max(ap - ap50, 0.0) for name, ap in zip(ERRORS, mended, strict=True)},
        counts={name: int(count) for name, count in zip(ERRORS, counts, strict=True)},
    )


def picture_errors(
    predicted: Detections, target: Target, kind: Content = "boxes"
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"], Bool[Tensor, " t"]]:
    """Tell the error of each detection of a picture (`CORRECT`, or its place in `ERRORS`) and the object that it is of.

    Detections of crowds and of difficult objects are correct. The last are the objects that are missed.
    """
    overlap, same = overlaps(predicted, target, kind), same_class(predicted, target)
    matches, counted = match_detections(overlap * same, target), ~target.ignored
    errors, objects = _errors(overlap[:, counted], same[:, counted])
    rows = torch.cat([counted.nonzero().flatten(), torch.zeros(1, dtype=torch.int64)])  # the last is nothing
    objects = rows[objects]
    errors = torch.where((matches.objects >= 0) | matches.neutral, CORRECT, errors)
    found = torch.zeros(len(target), dtype=torch.bool)
    found[matches.objects[matches.objects >= 0]] = True
    found[objects[(errors == CLASSIFICATION) | (errors == LOCALIZATION)]] = True
    return errors, objects, counted & ~found


def _judge(detections: Sequence[Detections], targets: Sequence[Target], kind: Content) -> _Verdicts:
    columns: dict[str, list[Tensor]] = {name: [] for name in _Verdicts.__dataclass_fields__}
    num_objects = 0
    for predicted, target in zip(detections, targets, strict=True):
        overlap, same = overlaps(predicted, target, kind), same_class(predicted, target)
        matches, counted = match_detections(overlap * same, target), ~target.ignored
        errors, objects = _errors(overlap[:, counted], same[:, counted])
        object_found = torch.zeros(len(target), dtype=torch.bool)
        object_found[matches.objects[matches.objects >= 0]] = True
        picture = {
            "scores": predicted.scores,
            "labels": predicted.labels,
            "errors": torch.where(matches.objects >= 0, CORRECT, errors),
            "objects": objects + num_objects,
        }
        for name, values in picture.items():
            columns[name].append(values[~matches.neutral])
        columns["object_labels"].append(target.labels[counted])
        columns["object_found"].append(object_found[counted])
        num_objects += int(counted.sum())
    return _Verdicts(**{name: torch.cat(values) for name, values in columns.items()})


def _errors(
    overlap: Float64[Tensor, "n t"], same: Bool[Tensor, "n t"]
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"]]:
    """Name each detection's error, were it wrong, and the object that it should have been; the later lines win."""
    nothing = overlap.new_zeros(len(overlap), 1)
    own, own_object = torch.cat([overlap * same, nothing], dim=1).max(1)
    other, other_object = torch.cat([overlap * ~same, nothing], dim=1).max(1)
    errors = torch.full((len(overlap),), BOTH)
    errors[own.maximum(other) < BACKGROUND_IOU] = BACKGROUND
    errors[own >= FOUND_IOU] = DUPLICATE
    errors[other >= FOUND_IOU] = CLASSIFICATION
    errors[(own >= BACKGROUND_IOU) & (own < FOUND_IOU)] = LOCALIZATION
    return errors, torch.where(errors == CLASSIFICATION, other_object, own_object)


def _mended_ap(verdicts: _Verdicts, error: int, num_objects: Int64[Tensor, " c"]) -> float:
    """Make the detections with this error right where that can be, and take them away where it cannot (section 2.3).

    Of several that would then find one object the highest score does. An object already found keeps its detection.
    """
    wrong = verdicts.errors == error
    labels, correct = verdicts.labels.clone(), verdicts.errors == CORRECT
    if error in (CLASSIFICATION, LOCALIZATION):
        rows = verdicts.scores.argsort(descending=True, stable=True)
        rows = rows[wrong[rows]]
        rows = rows[~verdicts.object_found[verdicts.objects[rows]]]
        first = dict(zip(reversed(verdicts.objects[rows].tolist()), reversed(rows.tolist()), strict=True))
        mended = torch.tensor(list(first.values()), dtype=torch.int64)
        labels[mended] = verdicts.object_labels[verdicts.objects[mended]]
        correct[mended] = True
        wrong[mended] = False
    return _mean_ap(verdicts.scores[~wrong], labels[~wrong], correct[~wrong], num_objects, num_objects)


def _mean_ap(
    scores: Float[Tensor, " d"],
    labels: Int64[Tensor, " d"],
    correct: Bool[Tensor, " d"],
    num_objects: Int64[Tensor, " c"],
    num_before: Int64[Tensor, " c"],
) -> float:
    """Average over the classes that had objects before some were left out."""
    rankings = split_ranking(scores, labels, correct, num_objects)
    classes = [
        interpolated_curve(ranking).ap if ranking.num_objects else 1.0
        for ranking, before in zip(rankings, num_before.tolist(), strict=True)
        if before
    ]
    return sum(classes) / len(classes)
