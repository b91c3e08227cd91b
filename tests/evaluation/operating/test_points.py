"""From which score on objects are taken, held to what one counts by hand and to the report's best F1."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.evaluation.operating import Aim
from delineate.evaluation.operating.points import Judged, choose, judged
from delineate.evaluation.operating.reliability import calibration_error, reliability, shares_by_others
from delineate.metrics.detection import best_f1
from delineate.metrics.matching import rank_detections
from delineate.values import Detections, InputError, Target

SIZE = (100, 100)


def boxes(*places: int) -> torch.Tensor:
    return torch.tensor([[float(10 * place), 0.0, 10.0 * place + 8, 8.0] for place in places]).reshape(-1, 4)


def picture(found: list[tuple[int, float]], objects: list[int]) -> tuple[Detections, Target]:
    """A picture with detections (place, score) of one class, and objects at places."""
    found = sorted(found, key=lambda one: -one[1])
    detections = Detections(
        image_size=SIZE,
        boxes=boxes(*(place for place, _ in found)),
        labels=torch.zeros(len(found), dtype=torch.int64),
        scores=torch.tensor([score for _, score in found]),
    )
    return detections, Target(
        image_size=SIZE, boxes=boxes(*objects), labels=torch.zeros(len(objects), dtype=torch.int64)
    )


FOUND = [
    picture([(0, 0.9), (1, 0.8), (5, 0.7), (2, 0.3), (6, 0.2)], [0, 1, 2]),
    picture([(0, 0.6), (7, 0.5)], [0, 3]),
]
"""Right are 0.9, 0.8, 0.6 and 0.3; wrong 0.7, 0.5 and 0.2; one object of five is missed."""


def of_one_class(pictures: list[tuple[Detections, Target]]) -> Judged:
    return judged(*map(list, zip(*pictures, strict=True)), 1)


@pytest.mark.parametrize(
    ("aim", "score", "precision", "recall"),
    [
        ("f1", 0.3, 4 / 6, 4 / 5),
        ("precision=0.7", 0.6, 3 / 4, 3 / 5),
        ("precision=0.9", 0.8, 1.0, 2 / 5),
        ("recall=0.6", 0.6, 3 / 4, 3 / 5),
        ("recall=0.61", 0.3, 4 / 6, 4 / 5),
        ("cost=1:1", 0.8, 1.0, 2 / 5),
        ("cost=5:1", 0.3, 4 / 6, 4 / 5),
        ("cost=1:9", 0.8, 1.0, 2 / 5),
    ],
)
def test_each_aim_takes_the_score_that_is_counted_by_hand(
    aim: str, score: float, precision: float, recall: float
) -> None:
    point = choose(of_one_class(FOUND), Aim.read(aim))
    assert point.score.value == pytest.approx(score)
    assert point.precision.value == pytest.approx(precision)
    assert point.recall.value == pytest.approx(recall)
    assert point.f1.value == pytest.approx(2 * precision * recall / (precision + recall))
    assert point.reached
    assert point.num_objects == 5


def test_an_aim_that_no_score_reaches_is_come_close_to() -> None:
    out_of_reach = choose(of_one_class(FOUND), Aim.read("recall=0.95"))
    assert (out_of_reach.score.value, out_of_reach.reached) == (pytest.approx(0.3), False)
    worst_first = [picture([(5, 0.9), (0, 0.8), (6, 0.7), (1, 0.6)], [0, 1])]
    point = choose(of_one_class(worst_first), Aim.read("precision=0.9"))
    assert (point.precision.value, point.recall.value, point.reached) == (0.5, 0.5, False)


def test_nothing_is_taken_where_everything_costs_too_much() -> None:
    point = choose(of_one_class([picture([(5, 0.9), (0, 0.8)], [0])]), Aim.read("cost=1:9"))
    assert (point.score.value, point.recall.value) == (1.0, 0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_best_f1_is_the_reports(seed: int) -> None:
    random = np.random.default_rng(seed)
    pictures = [
        picture(
            [
                (int(place), float(random.integers(1, 20)) / 20)
                for place in random.permutation(10)[: random.integers(10)]
            ],
            random.permutation(10)[: random.integers(1, 10)].tolist(),
        )
        for _ in range(4)
    ]
    detections, targets = map(list, zip(*pictures, strict=True))
    expected = best_f1(rank_detections(detections, targets, 1, kind="boxes")[0])
    point = choose(judged(detections, targets, 1), Aim())
    assert point.f1.value == pytest.approx(expected.f1)
    assert point.score.value == pytest.approx(expected.score)


def test_ranges_hold_the_value_and_shrink_with_the_pictures() -> None:
    few, many = (choose(of_one_class(FOUND * count), Aim()) for count in (3, 60))
    for point in (few, many):
        for one in (point.score, point.precision, point.recall, point.f1):
            assert one.low <= one.value <= one.high
    assert many.recall.high - many.recall.low < (few.recall.high - few.recall.low) / 2
    assert few.recall.low < 0.8 < few.recall.high


def test_alike_pictures_leave_no_doubt() -> None:
    point = choose(of_one_class([FOUND[0]] * 5), Aim())
    assert (point.recall.low, point.recall.high) == (point.recall.value, point.recall.value)


def test_crowds_take_detections_without_judging_them() -> None:
    detections, target = picture([(0, 0.9), (1, 0.8)], [0, 1])
    crowd = Target(image_size=SIZE, boxes=target.boxes, labels=target.labels, crowd=torch.tensor([False, True]))
    one = judged([detections], [crowd], 1)
    assert one.scores.tolist() == [pytest.approx(0.9)]
    assert one.objects.tolist() == [[1]]


@pytest.mark.parametrize("text", ["best", "precision", "precision=high", "f1=1", "cost=5", "cost=a:b", "recall="])
def test_what_is_no_aim_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"give f1, precision=0\.9, recall=0\.95 or cost=5:1"):
        Aim.read(text)


@pytest.mark.parametrize("text", ["precision=90", "recall=-1", "cost=0:0", "cost=-1:2"])
def test_an_aim_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="for: "):
        Aim.read(text)


def test_aims_are_written_as_they_are_read() -> None:
    assert [str(Aim.read(text)) for text in ("f1", "precision=0.9", "cost=5:1")] == ["f1", "precision=0.9", "cost=5:1"]


def boasting(count: int) -> Judged:
    """Detections whose scores are twice the share that is right."""
    random = np.random.default_rng(0)
    scores = random.uniform(0, 1, count)
    return Judged(
        scores=scores,
        labels=np.zeros(count, np.int64),
        right=random.uniform(0, 1, count) < scores / 2,
        pictures=random.integers(0, 50, count),
        objects=np.ones((50, 1)),
    )


def test_the_share_that_is_right_is_found() -> None:
    one = boasting(4000)
    curve = reliability(one)
    at = np.interp([0.2, 0.5, 0.8], curve.scores, curve.shares)
    assert at == pytest.approx([0.1, 0.25, 0.4], abs=0.04)
    assert list(curve.shares) == sorted(curve.shares)
    assert sum(count for *_, count in curve.bins) == 4000


def test_calibrated_scores_are_nearer_to_the_share_on_other_pictures() -> None:
    one = boasting(4000)
    assert calibration_error(one.scores, one.right) == pytest.approx(0.25, abs=0.02)
    assert calibration_error(shares_by_others(one, [True]), one.right) < 0.04
