import pytest
import torch
from tests.metrics.samples import found, objects, random_picture

from delineate.metrics import (
    CocoEvaluation,
    PictureMistakes,
    best_f1,
    detection_confusion,
    judge,
    of_all_classes,
    precision_recall,
    worst_pictures,
)
from delineate.metrics.matching import Ranking
from delineate.values import InputError

HERE, THERE, FREE = [0.0, 0, 40, 40], [100.0, 100, 140, 140], [200.0, 0, 240, 40]


def test_worked_curve() -> None:
    """Right, wrong, right of four objects."""
    target = objects((0, HERE), (0, THERE), (0, [0, 200, 40, 240]), (0, [100, 200, 140, 240]))
    said = found((0.75, 0, HERE), (0.5, 0, FREE), (0.25, 0, THERE))
    curves = precision_recall([said], [target], ["cat", "dog"])
    assert list(curves) == ["cat"], "no dog, no curve"
    assert curves["cat"].precision.tolist() == pytest.approx([1.0] * 26 + [2 / 3] * 25 + [0] * 50)
    assert curves["cat"].scores.tolist() == [0.75] * 26 + [0.25] * 25 + [0] * 50


@pytest.mark.parametrize("seed", range(3))
def test_the_area_below_is_cocos_ap(seed: int) -> None:
    torch.manual_seed(seed)
    pictures = [random_picture(count, 3, masks=True, difficult=0.1) for count in (5, 0, 9, 1, 14, 7)]
    evaluation = CocoEvaluation()
    for detections, target in pictures:
        evaluation.add(detections, target)
    metrics = evaluation.metrics(["a", "b", "c", "never"])
    for prefix, kind in (("", "boxes"), ("mask_", "masks")):
        curves = precision_recall(
            [found for found, _ in pictures], [target for _, target in pictures], ["a", "b", "c", "never"], kind=kind
        )
        assert sum(curve.ap for curve in curves.values()) / 3 == pytest.approx(metrics[f"{prefix}AP50"], abs=1e-9)


def test_the_best_threshold_by_hand() -> None:
    """Of 4 objects: 1 of 1 right, 2 of 2, 2 of 3, and 3 of 5 where two have one score."""
    correct = torch.tensor([True, True, False, False, True])
    ranking = Ranking(scores=torch.tensor([0.9, 0.75, 0.5, 0.25, 0.25]), correct=correct, num_objects=4)
    best = best_f1(ranking)
    assert best == (0.75, 1.0, 0.5)
    assert best.f1 == pytest.approx(2 / 3)
    tied = Ranking(scores=torch.full((3,), 0.5), correct=torch.tensor([True, False, False]), num_objects=1)
    assert best_f1(tied) == (0.5, pytest.approx(1 / 3), 1.0), "one cannot take the first alone"
    nothing = Ranking(scores=torch.zeros(0), correct=torch.zeros(0, dtype=torch.bool), num_objects=2)
    assert best_f1(nothing) == (1.0, 0.0, 0.0)
    both = of_all_classes([tied, ranking])
    assert both.scores.tolist() == pytest.approx([0.9, 0.75, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25])
    assert (both.num_objects, int(both.correct.sum())) == (5, 4)


def test_verdicts_of_detections_and_objects() -> None:
    target = objects((0, HERE), (0, THERE), (0, FREE), difficult=(2,))
    said = found((0.9, 0, HERE), (0.8, 0, HERE), (0.7, 0, FREE), (0.4, 0, THERE))
    right, wrong, missed = judge(said, target)
    assert right.tolist() == [True, False, False, False]
    assert wrong.tolist() == [False, True, False, False], "that of a difficult object is neither"
    assert missed.tolist() == [False, True, False]


def test_confusions() -> None:
    target = objects((0, HERE), (1, THERE), (0, [0, 200, 40, 240]), (0, FREE), (0, FREE), crowd=(3,), difficult=(4,))
    said = found(
        (0.9, 1, HERE),  # of another class, but the object is left to its own
        (0.8, 0, HERE),
        (0.7, 0, THERE),  # taken for class 0
        (0.6, 0, FREE),  # neutral
        (0.6, 1, FREE),  # not of the crowd's class
        (0.4, 0, [0, 200, 40, 240]),  # unlikely
    )
    matrix = detection_confusion([said, found()], [target, objects((1, HERE))], 2)
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 1], [0, 2, 0]]
    assert detection_confusion([said], [target], 2, score=0.3).tolist() == [[2, 0, 0], [1, 0, 0], [0, 2, 0]]


def test_confusions_count_every_object_and_likely_detection_once() -> None:
    pictures = [random_picture(count, 3, crowd=0) for count in (5, 0, 9)]
    matrix = detection_confusion([found for found, _ in pictures], [target for _, target in pictures], 3)
    assert matrix[:3].sum() == 14
    assert matrix[:, :3].sum() == sum(int((found.scores >= 0.5).sum()) for found, _ in pictures)


def test_the_worst_pictures_come_first() -> None:
    good = found((0.9, 0, HERE), (0.6, 0, THERE), (0.4, 1, FREE))
    target = objects((0, HERE), (0, THERE), (0, FREE), difficult=(1,))
    assert worst_pictures([good, good, found(), found()], [target[:1], target, target, objects()]) == [
        PictureMistakes(index=2, num_missed=2, num_false=0),
        PictureMistakes(index=0, num_missed=0, num_false=1),
        PictureMistakes(index=1, num_missed=1, num_false=0),
    ]


def test_nothing_to_find_has_no_curve_but_mistakes() -> None:
    with pytest.raises(InputError, match="nothing can be measured"):
        precision_recall([found((0.9, 0, HERE))], [objects()], ["cat"])
    assert worst_pictures([found((0.9, 0, HERE))], [objects()])[0].num_false == 1
    assert detection_confusion([found((0.9, 0, HERE))], [objects()], 1).tolist() == [[0, 0], [1, 0]]
