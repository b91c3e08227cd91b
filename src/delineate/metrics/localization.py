"""Localization: one object a picture, its class and its box."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.ops.boxes import paired_iou
from delineate.values import Detections, InputError, Target

LOCALIZED_IOU = 0.5
LOCALIZATION_PROTOCOL = (
    "of each picture the largest object, pictures without one left out; localization_accuracy is the share of "
    "pictures whose class is right and whose box overlaps the object's by an IoU of 0.5 or more (ImageNet's rule), "
    "accuracy that of right classes, mean_IoU the mean of the boxes' IoU, whatever their class"
)


class LocalizationEvaluation:
    """The evaluation gathers pictures; what other processes gathered can be merged into it."""

    def __init__(self, num_classes: int) -> None:
        self._confusion: Int64[Tensor, "c c"] = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self._rows: list[tuple[int, int, int, float]] = []

    def add(self, detections: Detections, target: Target, number: int = 0) -> None:
        """Take one picture, which has the place `number` in the data set."""
        truth = target.largest()
        if not len(truth):
            return
        label, box = int(truth.labels[0]), truth.boxes[:1].cpu()
        predicted = int(detections.labels[0])
        overlap = float(paired_iou(detections.boxes[:1].cpu(), box)[0])
        self._confusion[label, predicted] += 1
        self._rows.append((number, label, predicted, overlap))

    def merge(self, other: "LocalizationEvaluation") -> None:
        """Take all pictures of another evaluation."""
        self._confusion += other._confusion
        self._rows += other._rows

    def metrics(self, names: Sequence[str]) -> dict[str, float]:
        """Compute `localization_accuracy`, `accuracy`, `mean_IoU`, and the same of each class, `METRIC/NAME`; in 0..1.

        Russakovsky et al. 2015, ImageNet large scale visual recognition challenge, section 4.2. Raises `InputError`
        where no picture has an object.
        """
        if not self._rows:
            raise InputError("boxes: no picture has an object that counts; nothing can be measured")
        rows = sorted(self._rows)
        labels = torch.tensor([label for _, label, _, _ in rows])
        right = torch.tensor([label == predicted for _, label, predicted, _ in rows])
        overlaps = torch.tensor([overlap for *_, overlap in rows], dtype=torch.float64)
        metrics = _figures(right, overlaps)
        for row, name in enumerate(names):
            own = labels == row
            if own.any():
                metrics |= {f"{key}/{name}": value for key, value in _figures(right[own], overlaps[own]).items()}
        return metrics

    def confusion(self, num_classes: int) -> Int64[Tensor, "c c"]:
        """Count the pictures of each true class (row) that were given each class (column)."""
        return self._confusion


def _figures(right: Bool[Tensor, " n"], overlaps: Float[Tensor, " n"]) -> dict[str, float]:
    return {
        "localization_accuracy": float((right & (overlaps >= LOCALIZED_IOU)).double().mean()),
        "accuracy": float(right.double().mean()),
        "mean_IoU": float(overlaps.mean()),
    }
