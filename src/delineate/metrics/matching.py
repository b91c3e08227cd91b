"""All metrics here rest on one greedy matching of detections with objects, on the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Bool, Float, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from delineate.ops.masks import encode_rle
from delineate.values import Content, Detections, InputError, Target

Rule = Literal["coco", "voc"]

FOUND_IOU = 0.5
"""A detection finds an object that it overlaps by this much or more."""

NOTHING = "boxes: no picture has an object that counts (crowd and difficult ones do not); nothing can be measured"


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """Each of the N detections of one picture finds the object of the row in `objects`, or none (-1).

    A `neutral` detection finds none, but lies on a crowd or a difficult object: it is neither right nor wrong.
    """

    objects: Int64[Tensor, " n"]
    neutral: Bool[Tensor, " n"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """A ranking has all detections of a class over all pictures, scores descending, the neutral ones left out."""

    scores: Float[Tensor, " n"]
    correct: Bool[Tensor, " n"]
    num_objects: int

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute the recall after each detection, and the largest precision from there on."""
        correct = self.correct.cpu().numpy().cumsum()
        precision = correct / np.arange(1, len(correct) + 1)
        return correct / self.num_objects, np.maximum.accumulate(precision[::-1])[::-1]


def box_overlaps(
    boxes: Float[Tensor, "n 4"], others: Float[Tensor, "t 4"], crowd: Bool[Tensor, " t"] | None = None
) -> Float64[Tensor, "n t"]:
    """Measure the IoU of boxes; beside a crowd, the share of the box that lies in it, as COCO has it."""
    flags = [0] * len(others) if crowd is None else crowd.int().tolist()
    return _overlaps(xywh(boxes), xywh(others), flags)


def overlaps(detections: Detections, target: Target, kind: Content = "boxes") -> Float64[Tensor, "n t"]:
    """Measure the IoU of each detection with each object, by boxes or by masks; with crowds as `box_overlaps`.

    Raises `InputError` where masks are asked for and not there.
    """
    assert kind in ("boxes", "masks"), kind
    if kind == "boxes":
        return box_overlaps(detections.boxes, target.boxes, target.crowd)
    if not (len(detections) and len(target)):
        return torch.zeros(len(detections), len(target), dtype=torch.float64)
    if detections.rles is None or target.masks is None:
        raise InputError(
            f"masks: the {'detections' if detections.rles is None else 'objects'} of a picture have none; measure boxes"
        )
    return _overlaps(list(detections.rles), encode_rle(target.masks), target.crowd.int().tolist())


def match_detections(overlap: Float64[Tensor, "n t"], target: Target, rule: Rule = "coco") -> Matches:
    """Find for each detection, in the order of their rows, an object that it overlaps by `FOUND_IOU` or more.

    By COCO's rule it is the one it overlaps most among those not yet found; by VOC's (devkit, `VOCevaldet.m`) the one
    it overlaps most of all, and the second detection of an object finds nothing. Where no object that counts is found,
    a crowd or difficult one makes the detection neutral, and may do so for many; with VOC's rule a difficult one does
    so where it is overlapped most. Where classes matter, the overlap with objects of another class is given as 0.
    """
    values, ignored = overlap.cpu().numpy(), target.ignored.cpu().numpy()
    if rule == "voc" and len(target):
        values = _largest_only(values, target.crowd.cpu().numpy())
    taken = np.zeros(len(target), dtype=bool)
    objects, neutral = np.full(len(values), -1), np.zeros(len(values), dtype=bool)
    for row in np.flatnonzero((values >= FOUND_IOU).any(axis=1)):
        free = np.where(ignored | taken, 0, values[row])
        best = len(free) - 1 - int(free[::-1].argmax())  # of objects overlapped equally, COCO takes the last
        if free[best] >= FOUND_IOU:
            objects[row], taken[best] = best, True
        else:
            neutral[row] = (values[row][ignored] >= FOUND_IOU).any()
    return Matches(objects=torch.from_numpy(objects), neutral=torch.from_numpy(neutral))


def same_class(detections: Detections, target: Target) -> Bool[Tensor, "n t"]:
    """Tell which detections and objects share their class."""
    return detections.labels[:, None] == target.labels


def rank_detections(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    num_classes: int,
    *,
    kind: Content,
    rule: Rule = "coco",
) -> list[Ranking]:
    """Rank the detections of each class over all pictures, each right or wrong at an IoU of 0.5.

    Raises `InputError` where no picture has an object that counts.
    """
    num_objects = count_objects(targets, num_classes)
    scores, labels, correct = [], [], []
    for predicted, target in zip(detections, targets, strict=True):
        overlap = overlaps(predicted, target, kind) * same_class(predicted, target)
        matches = match_detections(overlap, target, rule)
        scores.append(predicted.scores[~matches.neutral])
        labels.append(predicted.labels[~matches.neutral])
        correct.append(matches.objects[~matches.neutral] >= 0)
    return split_ranking(torch.cat(scores), torch.cat(labels), torch.cat(correct), num_objects)


def count_objects(targets: Sequence[Target], num_classes: int) -> Int64[Tensor, " {num_classes}"]:
    """Count the objects of each class that count; raises `InputError` where there are none at all."""
    labels = [target.labels[~target.ignored] for target in targets]
    if not sum(len(picture) for picture in labels):
        raise InputError(NOTHING)
    return torch.cat(labels).bincount(minlength=num_classes)


def split_ranking(
    scores: Float[Tensor, " n"],
    labels: Int64[Tensor, " n"],
    correct: Bool[Tensor, " n"],
    num_objects: Int64[Tensor, " c"],
) -> list[Ranking]:
    """Make one ranking a class; equal scores keep their order."""
    order = scores.argsort(descending=True, stable=True)
    scores, labels, correct = scores[order], labels[order], correct[order]
    return [
        Ranking(scores=scores[labels == label], correct=correct[labels == label], num_objects=count)
        for label, count in enumerate(num_objects.tolist())
    ]


def xywh(boxes: Float[Tensor, "n 4"]) -> NDArray[np.float64]:
    """Convert boxes to COCO's form, in double precision."""
    corners = boxes.double().cpu()
    sizes: NDArray[np.float64] = torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2]], dim=1).numpy()
    return sizes


def _largest_only(values: NDArray[np.float64], crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Keep the largest value of each row alone, or the crowds' where the others do not reach `FOUND_IOU`."""
    ordinary = np.where(crowd, 0, values)
    largest = ordinary.argmax(axis=1)[:, None] == np.arange(values.shape[1])
    reached = ordinary.max(axis=1, keepdims=True) >= FOUND_IOU
    return np.where(np.where(reached, largest, crowd), values, 0)


def _overlaps(predicted: Any, objects: Any, crowd: list[int]) -> Float64[Tensor, "n t"]:
    """Measure the overlaps of masks (RLE) or of boxes (x y width height)."""
    if not (len(predicted) and len(objects)):
        return torch.zeros(len(predicted), len(objects), dtype=torch.float64)
    return torch.from_numpy(coco_masks.iou(predicted, objects, crowd))
