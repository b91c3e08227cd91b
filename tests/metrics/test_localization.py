import pickle

import pytest
import torch

from delineate.metrics import LocalizationEvaluation
from delineate.values import Detections, InputError, Target

SIZE = (100, 100)
NAMES = ("cat", "dog")


def said(label: int, *box: float) -> Detections:
    return Detections(
        image_size=SIZE, boxes=torch.tensor([box]), labels=torch.tensor([label]), scores=torch.tensor([0.7])
    )


def truth(label: int, *box: float) -> Target:
    return Target(image_size=SIZE, boxes=torch.tensor([box]), labels=torch.tensor([label]))


def test_right_class_and_an_iou_of_a_half() -> None:
    evaluation = LocalizationEvaluation(2)
    evaluation.add(said(0, 0.0, 0.0, 10.0, 10.0), truth(0, 0.0, 0.0, 10.0, 20.0), 0)  # IoU 1/2, which is enough
    evaluation.add(said(0, 0.0, 0.0, 10.0, 9.0), truth(0, 0.0, 0.0, 10.0, 20.0), 1)  # too small
    evaluation.add(said(1, 0.0, 0.0, 10.0, 20.0), truth(0, 0.0, 0.0, 10.0, 20.0), 2)  # another class
    evaluation.add(said(1, 50.0, 50.0, 60.0, 60.0), truth(1, 0.0, 0.0, 10.0, 10.0), 3)  # elsewhere
    evaluation.add(said(1, 50.0, 50.0, 60.0, 60.0), Target(image_size=SIZE), 4)  # nothing there
    metrics = evaluation.metrics(NAMES)
    assert metrics == pytest.approx(
        {
            "localization_accuracy": 1 / 4,
            "accuracy": 3 / 4,
            "mean_IoU": (0.5 + 0.45 + 1 + 0) / 4,
            "localization_accuracy/cat": 1 / 3,
            "accuracy/cat": 2 / 3,
            "mean_IoU/cat": 1.95 / 3,
            "localization_accuracy/dog": 0,
            "accuracy/dog": 1,
            "mean_IoU/dog": 0,
        }
    )
    assert next(iter(metrics)) == "localization_accuracy"
    assert evaluation.confusion(2).tolist() == [[2, 1], [0, 1]]


def test_of_several_objects_the_largest_is_measured() -> None:
    target = Target(
        image_size=SIZE,
        boxes=torch.tensor([[0.0, 0.0, 5.0, 5.0], [20.0, 20.0, 80.0, 90.0]]),
        labels=torch.tensor([0, 1]),
    )
    evaluation = LocalizationEvaluation(2)
    evaluation.add(said(1, 20.0, 20.0, 80.0, 90.0), target)
    assert evaluation.metrics(NAMES)["localization_accuracy"] == 1


def test_those_of_several_processes_are_merged() -> None:
    whole, first, second = (LocalizationEvaluation(2) for _ in range(3))
    for number, part in enumerate((first, second, first)):
        pair = said(number % 2, 0.0, 0.0, 10.0, 10.0 + number), truth(0, 0.0, 0.0, 10.0, 20.0)
        part.add(*pair, number)
        whole.add(*pair, number)
    first.merge(pickle.loads(pickle.dumps(second)))
    assert first.metrics(NAMES) == whole.metrics(NAMES)
    assert torch.equal(first.confusion(2), whole.confusion(2))


def test_nothing_to_measure_is_an_error() -> None:
    evaluation = LocalizationEvaluation(2)
    evaluation.add(said(1, 50.0, 50.0, 60.0, 60.0), Target(image_size=SIZE))
    with pytest.raises(InputError, match="no picture has an object that counts"):
        evaluation.metrics(NAMES)
