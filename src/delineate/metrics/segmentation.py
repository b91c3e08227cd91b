"""Every metric of semantic segmentation follows from one confusion matrix; those of pictures and processes add up."""

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from delineate.values import IGNORE, InputError, LabelMap, Target

SEGMENTATION_PROTOCOL = (
    "one confusion matrix of all pixels of all pictures, each at its original size, "
    f"pixels of value {IGNORE} (ignore) left out; mIoU is the mean over the classes that occur in truth or prediction"
)


def confusion_matrix(
    truth: Int64[Tensor, "*shape"], prediction: Int64[Tensor, "*shape"], num_classes: int
) -> Int64[Tensor, "{num_classes} {num_classes}"]:
    """Count the pixels of each true class (row) that were given each class (column).

    Pixels whose truth is `IGNORE` are left out, whatever was predicted there. Raises `InputError` for a true value
    that is neither a class nor `IGNORE`.
    """
    counted = truth != IGNORE
    truth, prediction = truth[counted], prediction[counted]
    if truth.numel():
        low, high = (int(value) for value in truth.aminmax())
        if low < 0 or high >= num_classes:
            raise InputError(
                f"label_map: value {high if high >= num_classes else low} is no class of {num_classes} "
                f"and not {IGNORE} (ignore)"
            )
        low, high = (int(value) for value in prediction.aminmax())
        assert 0 <= low <= high < num_classes, f"predicted classes {low}..{high} of {num_classes}"
    pairs = torch.bincount(truth * num_classes + prediction, minlength=num_classes**2)
    return pairs.view(num_classes, num_classes)


def segmentation_metrics(matrix: Int64[Tensor, "c c"], names: Sequence[str]) -> dict[str, float]:
    """Compute the metrics of Long et al. 2015, Fully Convolutional Networks, section 5, each in 0..1.

    `mIoU`, `pixel_accuracy`, `mean_accuracy`, `frequency_weighted_IoU`, and `IoU/NAME` of each class. A class that
    occurs neither in truth nor in prediction has no IoU: it is left out of the mean and of the result. The mean
    accuracy is over the classes that occur in truth.

    Raises `InputError` when no pixel was counted: there is nothing to measure.
    """
    assert len(names) == len(matrix), f"{len(names)} names of {len(matrix)} classes"
    counts = matrix.double().cpu()
    correct, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    union = true + predicted - correct
    total = true.sum()
    if total == 0:
        raise InputError(f"label_map: every pixel of every picture is {IGNORE} (ignore); nothing can be measured")
    occurs, iou, accuracy = union > 0, correct / union, correct / true
    return {
        "mIoU": float(iou[occurs].mean()),
        "pixel_accuracy": float(correct.sum() / total),
        "mean_accuracy": float(accuracy[true > 0].mean()),
        "frequency_weighted_IoU": float((true * iou)[occurs].sum() / total),
        **{f"IoU/{name}": float(iou[row]) for row, name in enumerate(names) if occurs[row]},
    }


class SegmentationEvaluation:
    """The evaluation gathers pictures in one confusion matrix; what other processes gathered can be merged into it."""

    def __init__(self, num_classes: int) -> None:
        self._confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def add(self, prediction: LabelMap, target: Target, number: int = 0) -> None:
        """Take one picture; which one it is does not matter."""
        assert target.label_map is not None, "dense systems are measured on label maps"
        predicted = prediction.label_map
        self._confusion += confusion_matrix(
            target.label_map.to(predicted.device), predicted, len(self._confusion)
        ).cpu()

    def merge(self, other: "SegmentationEvaluation") -> None:
        """Take all pictures of another evaluation."""
        self._confusion += other._confusion

    def metrics(self, names: Sequence[str]) -> dict[str, float]:
        """See `segmentation_metrics`."""
        return segmentation_metrics(self._confusion, names)

    def confusion(self, num_classes: int) -> Int64[Tensor, "c c"]:
        """Count the pixels of each true class (row) that were given each class (column)."""
        return self._confusion
