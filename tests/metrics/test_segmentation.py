import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.metrics import confusion_matrix, segmentation_metrics
from delineate.values import InputError

NAMES = ("sky", "road", "car")


def test_worked_example() -> None:
    truth = torch.tensor([[0, 0, 0, 255], [1, 1, 2, 255]])
    prediction = torch.tensor([[0, 0, 1, 2], [1, 1, 1, 0]])
    matrix = confusion_matrix(truth, prediction, 3)
    assert matrix.tolist() == [[2, 1, 0], [0, 2, 0], [0, 1, 0]]
    assert segmentation_metrics(matrix, NAMES) == pytest.approx(
        {
            "mIoU": (2 / 3 + 2 / 4 + 0) / 3,
            "pixel_accuracy": 4 / 6,
            "mean_accuracy": (2 / 3 + 1 + 0) / 3,
            "frequency_weighted_IoU": (3 * 2 / 3 + 2 * 2 / 4 + 1 * 0) / 6,
            "IoU/sky": 2 / 3,
            "IoU/road": 2 / 4,
            "IoU/car": 0,
        }
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num_classes=st.integers(1, 6))
def test_equals_counting_pixel_by_pixel(seed: int, num_classes: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.choice([*range(num_classes), 255], size=(7, 5))
    truth[0, 0] = 0
    prediction = random.integers(0, num_classes, size=(7, 5))
    metrics = segmentation_metrics(
        confusion_matrix(torch.from_numpy(truth), torch.from_numpy(prediction), num_classes),
        [str(number) for number in range(num_classes)],
    )
    seen = truth != 255
    iou, accuracy, weighted = {}, [], 0.0
    for number in range(num_classes):
        here, there = (truth == number) & seen, (prediction == number) & seen
        if (here | there).any():
            iou[f"IoU/{number}"] = (here & there).sum() / (here | there).sum()
            weighted += here.sum() * iou[f"IoU/{number}"] / seen.sum()
        if here.any():
            accuracy.append((here & there).sum() / here.sum())
    assert metrics == pytest.approx(
        {
            "mIoU": np.mean(list(iou.values())),
            "pixel_accuracy": (truth == prediction)[seen].mean(),
            "mean_accuracy": np.mean(accuracy),
            "frequency_weighted_IoU": weighted,
            **iou,
        }
    )


def test_matrices_of_pictures_add_up() -> None:
    truth, prediction = torch.randint(0, 3, (2, 10, 10)), torch.randint(0, 3, (2, 10, 10))
    parts = confusion_matrix(truth[0], prediction[0], 3) + confusion_matrix(truth[1], prediction[1], 3)
    assert torch.equal(parts, confusion_matrix(truth, prediction, 3))


def test_a_class_that_never_occurs_is_left_out() -> None:
    metrics = segmentation_metrics(torch.tensor([[5, 0, 0], [0, 5, 0], [0, 0, 0]]), NAMES)
    assert metrics["mIoU"] == 1
    assert "IoU/car" not in metrics


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    metrics = segmentation_metrics(torch.tensor([[4, 0, 1], [0, 5, 0], [0, 0, 0]]), NAMES)
    assert metrics["IoU/car"] == 0
    assert metrics["mIoU"] == pytest.approx((4 / 5 + 1 + 0) / 3)
    assert metrics["mean_accuracy"] == pytest.approx((4 / 5 + 1) / 2)


def test_nothing_but_ignore_cannot_be_measured() -> None:
    matrix = confusion_matrix(torch.full((4, 4), 255), torch.zeros(4, 4, dtype=torch.int64), 3)
    assert not matrix.any()
    with pytest.raises(InputError, match="every pixel of every picture is 255"):
        segmentation_metrics(matrix, NAMES)


@pytest.mark.parametrize("value", [3, -1])
def test_a_value_that_is_no_class_is_named(value: int) -> None:
    truth = torch.tensor([[0, value]])
    with pytest.raises(InputError, match=f"value {value} is no class of 3"):
        confusion_matrix(truth, torch.zeros_like(truth), 3)


def test_large_counts_stay_exact() -> None:
    matrix = torch.tensor([[2**40 + 1, 1], [0, 2**40]])
    assert segmentation_metrics(matrix, NAMES[:2])["IoU/road"] == pytest.approx(2**40 / (2**40 + 1), abs=1e-15)
