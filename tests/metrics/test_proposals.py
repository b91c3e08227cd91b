import pytest
import torch
from tests.metrics.samples import objects

from delineate.metrics import average_recall, mean_average_best_overlap, proposal_recall
from delineate.values import InputError

HERE, THERE, AWAY = [0.0, 0, 40, 40], [60.0, 60, 100, 100], [200.0, 100, 240, 140]
# IoU of half a box is 0.5, of its three quarters 0.75
PROPOSALS = [
    torch.tensor([[150.0, 0, 160, 10], [0, 0, 20, 40], [60, 60, 90, 100], [0, 0, 30, 40]]),
    torch.zeros(0, 4),
    torch.tensor([AWAY]),
]
TARGETS = [
    objects((0, HERE), (1, THERE), (1, AWAY), (1, AWAY), crowd=(2,), difficult=(3,)),
    objects((0, HERE)),
    objects((2, AWAY)),
]


def test_recall_of_the_first_proposals() -> None:
    assert proposal_recall(PROPOSALS, TARGETS, [1, 2, 3, 100]) == {1: 1 / 4, 2: 2 / 4, 3: 3 / 4, 100: 3 / 4}
    assert proposal_recall(PROPOSALS, TARGETS, [2, 4], iou=0.7) == {2: 1 / 4, 4: 3 / 4}


def test_average_recall_is_over_ten_thresholds() -> None:
    assert average_recall(PROPOSALS, TARGETS, [2, 4]) == pytest.approx({2: (10 + 1) / 10 / 4, 4: (10 + 6 + 6) / 10 / 4})


def test_best_overlap_is_averaged_over_classes() -> None:
    expected = {1: (0 + 0 + 1) / 3, 4: ((0.75 + 0) / 2 + 0.75 + 1) / 3}
    assert mean_average_best_overlap(PROPOSALS, TARGETS, [1, 4]) == pytest.approx(expected)


def test_nothing_to_find_is_an_error() -> None:
    for measure in (proposal_recall, average_recall, mean_average_best_overlap):
        with pytest.raises(InputError, match="nothing can be measured"):
            measure(PROPOSALS[:1], [objects((0, HERE), crowd=(0,))], [10])
