import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from delineate.nn.matching import match, own_boxes
from delineate.values import Target, Truth

SIZE = (100, 100)
SQUARE = torch.tensor([[0.0, 0.0, 10.0, 10.0]])


def truth(boxes: Tensor, **flags: list[bool]) -> Truth:
    fields = {name: torch.tensor(values) for name, values in flags.items()}
    return Truth.of(Target(image_size=SIZE, boxes=boxes, labels=torch.arange(len(boxes)), **fields))


def strips(*heights: float) -> Tensor:
    """Boxes inside the square `SQUARE`, whose IoU with it is a tenth of their height."""
    return torch.tensor([[0.0, 0.0, 10.0, height] for height in heights])


def test_a_positive_from_the_threshold_on_a_negative_below_the_other() -> None:
    matches = match(strips(10, 7, 6, 5, 3, 2, 1), truth(SQUARE), positive_iou=0.7, negative_iou=(0.2, 0.5))
    assert matches.positive.tolist() == [True, True, False, False, False, False, False]
    assert matches.negative.tolist() == [False, False, False, False, True, True, False]


def test_a_box_answers_for_the_object_that_it_overlaps_most() -> None:
    objects = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    boxes = torch.tensor([[4.0, 0.0, 14.0, 10.0], [1.0, 0.0, 11.0, 10.0], [50.0, 51.0, 60.0, 61.0]])
    matches = match(boxes, truth(objects), positive_iou=0.5, negative_iou=(0.0, 0.5))
    assert matches.positive.all()
    assert matches.rows.tolist() == [1, 0, 2]


def test_one_box_answers_for_each_object_even_if_it_overlaps_another_more() -> None:
    objects = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 4.0], [70.0, 70.0, 90.0, 90.0]])
    boxes = torch.tensor(
        [[0.0, 0.0, 10.0, 9.0], [0.0, 0.0, 10.0, 8.0], [60.0, 60.0, 80.0, 72.0], [30.0, 30.0, 40.0, 40.0]]
    )
    matches = match(boxes, truth(objects), positive_iou=0.5, negative_iou=(0.0, 0.5), one_for_each=True)
    # the second box overlaps the first object most, but is the best that the second one has
    assert matches.positive.tolist() == [True, True, True, False]
    assert matches.rows[:3].tolist() == [0, 1, 2]
    assert matches.negative.tolist() == [False, False, False, True]


def test_each_object_has_a_box_of_its_own_the_highest_pair_first() -> None:
    for _ in range(50):
        iou = torch.rand(int(torch.randint(1, 7, ())), int(torch.randint(1, 7, ())))
        iou[torch.rand(iou.shape) < 0.4] = 0
        left, expected = iou.clone(), torch.full((iou.shape[1],), -1)
        while left.max() > 0:  # the algorithm as it is told
            row, column = divmod(int(left.argmax()), left.shape[1])
            expected[column] = row
            left[row] = left[:, column] = 0
        assert torch.equal(own_boxes(iou), expected)
    assert torch.equal(own_boxes(torch.zeros(3, 0)), torch.zeros(0, dtype=torch.int64))


def test_of_two_objects_with_the_same_best_box_neither_goes_without() -> None:
    objects = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 11.0, 11.0]])
    boxes = torch.tensor([[0.0, 0.0, 10.0, 11.0], [6.0, 6.0, 16.0, 16.0], [50.0, 50.0, 60.0, 60.0]])
    assert box_iou(objects, boxes).argmax(1).tolist() == [0, 0]
    matches = match(boxes, truth(objects), positive_iou=0.5, negative_iou=(0.0, 0.5), one_for_each=True)
    assert matches.positive.tolist() == [True, True, False]
    assert matches.rows[:2].tolist() == [0, 1]


def test_rows_count_ordinary_objects_only() -> None:
    objects = torch.tensor([[0.0, 0.0, 90.0, 90.0], [0.0, 0.0, 10.0, 10.0], [40.0, 40.0, 50.0, 50.0]])
    given = truth(objects, crowd=[True, False, False])
    matches = match(objects[1:], given, positive_iou=0.5, negative_iou=(0.0, 0.5))
    assert matches.rows.tolist() == [0, 1]
    assert given.labels.tolist() == [1, 2]


def test_the_best_box_of_an_object_is_a_positive_however_low_its_iou() -> None:
    boxes = torch.cat([strips(4, 4, 3), torch.tensor([[60.0, 60.0, 70.0, 70.0]])])
    objects = torch.cat([SQUARE, torch.tensor([[80.0, 80.0, 90.0, 90.0]])])  # no box touches the second
    rule = {"positive_iou": 0.7, "negative_iou": (0.0, 0.5)}
    assert not match(boxes, truth(objects), **rule).positive.any()
    matches = match(boxes, truth(objects), **rule, best_for_each=True)
    assert matches.positive.tolist() == [True, True, False, False]
    assert matches.negative.tolist() == [False, False, True, True]


@pytest.mark.parametrize("best_for_each", [False, True])
def test_matching_is_torchvisions(best_for_each: bool) -> None:
    corners = torch.rand(300, 2) * 70
    boxes = torch.cat([corners, corners + 3 + torch.rand(300, 2) * 25], 1)
    objects = boxes[:6] + 1
    expected = Matcher(0.6, 0.3, allow_low_quality_matches=best_for_each)(box_iou(objects, boxes))
    matches = match(boxes, truth(objects), positive_iou=0.6, negative_iou=(0.0, 0.3), best_for_each=best_for_each)
    assert torch.equal(matches.positive, expected >= 0)
    assert torch.equal(matches.negative, expected == Matcher.BELOW_LOW_THRESHOLD)
    assert torch.equal(matches.rows[matches.positive], expected[expected >= 0])
    assert 6 <= matches.positive.sum() < 100


@pytest.mark.parametrize("best_for_each", [False, True])
def test_without_objects_everything_is_background(best_for_each: bool) -> None:
    nothing = Truth.of(Target(image_size=SIZE))
    matches = match(strips(10, 5), nothing, positive_iou=0.0, negative_iou=(0.0, 0.5), best_for_each=best_for_each)
    assert not matches.positive.any()
    assert matches.negative.all()
    assert matches.rows.tolist() == [0, 0]
    none = match(torch.zeros(0, 4), truth(SQUARE), positive_iou=0.5, negative_iou=(0.0, 0.5))
    assert none.positive.shape == none.negative.shape == none.rows.shape == (0,)


@pytest.mark.parametrize("flag", ["crowd", "difficult"])
def test_what_is_not_counted_is_neither_learned_nor_background(flag: str) -> None:
    objects = torch.tensor([[0.0, 0.0, 40.0, 40.0], [60.0, 60.0, 80.0, 80.0]])
    boxes = torch.tensor(
        [
            [0.0, 0.0, 40.0, 40.0],  # the region itself
            [10.0, 10.0, 15.0, 15.0],  # in it
            [30.0, 0.0, 49.0, 10.0],  # more than half of it in it
            [30.0, 0.0, 50.0, 10.0],  # half of it in it
            [60.0, 60.0, 80.0, 80.0],  # the object
            [85.0, 85.0, 95.0, 95.0],  # nothing
        ]
    )
    given = truth(objects, **{flag: [True, False]})
    matches = match(boxes, given, positive_iou=0.5, negative_iou=(0.0, 0.5), best_for_each=True)
    assert matches.positive.tolist() == [False, False, False, False, True, False]
    assert matches.negative.tolist() == [False, False, False, True, False, True]
    alone = match(boxes, truth(objects[:1], **{flag: [True]}), positive_iou=0.5, negative_iou=(0.0, 0.5))
    assert not alone.positive.any()
    assert alone.negative.tolist() == [False, False, False, True, True, True]


def test_an_object_in_a_crowd_is_learned_all_the_same() -> None:
    objects = torch.tensor([[0.0, 0.0, 40.0, 40.0], [10.0, 10.0, 20.0, 20.0]])
    given = truth(objects, crowd=[True, False])
    matches = match(objects[1:], given, positive_iou=0.5, negative_iou=(0.0, 0.5))
    assert matches.positive.tolist() == [True]


def test_padding_is_neither_positive_nor_negative() -> None:
    boxes = torch.cat([SQUARE, torch.zeros(2, 4), SQUARE])
    valid = torch.tensor([True, False, False, False])
    options = {"positive_iou": 0.0, "negative_iou": (0.0, 0.5), "valid": valid}
    for rule in ({}, {"best_for_each": True}, {"one_for_each": True}):  # no padding is an object's own
        matches = match(boxes, truth(SQUARE), **options, **rule)
        assert matches.positive.tolist() == [True, False, False, False]
        assert not matches.negative.any()
    assert match(boxes, truth(SQUARE[:0]), **options).negative.tolist() == valid.tolist()
    far = match(boxes, truth(SQUARE + 50), positive_iou=0.5, negative_iou=(0.0, 0.5), one_for_each=True, valid=valid)
    assert not far.positive.any()
