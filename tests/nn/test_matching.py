import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from delineate.nn.matching import match, objects_of
from delineate.values import Target

SIZE = (100, 100)
SQUARE = torch.tensor([[0.0, 0.0, 10.0, 10.0]])


def target(boxes: Tensor, **flags: list[bool]) -> Target:
    fields = {name: torch.tensor(values) for name, values in flags.items()}
    return Target(image_size=SIZE, boxes=boxes, labels=torch.arange(len(boxes)), **fields)


def strips(*heights: float) -> Tensor:
    """Boxes inside the square `SQUARE`, whose IoU with it is a tenth of their height."""
    return torch.tensor([[0.0, 0.0, 10.0, height] for height in heights])


def test_a_positive_from_the_threshold_on_a_negative_below_the_other() -> None:
    found = match(strips(10, 7, 6, 5, 3, 2, 1), target(SQUARE), positive_iou=0.7, negative_iou=(0.2, 0.5))
    assert found.positive.tolist() == [True, True, False, False, False, False, False]
    assert found.negative.tolist() == [False, False, False, False, True, True, False]


def test_a_box_answers_for_the_object_that_it_overlaps_most() -> None:
    objects = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    boxes = torch.tensor([[4.0, 0.0, 14.0, 10.0], [1.0, 0.0, 11.0, 10.0], [50.0, 51.0, 60.0, 61.0]])
    found = match(boxes, target(objects), positive_iou=0.5, negative_iou=(0.0, 0.5))
    assert found.positive.all()
    assert found.rows.tolist() == [1, 0, 2]


def test_one_box_answers_for_each_object_even_if_it_overlaps_another_more() -> None:
    objects = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 4.0], [70.0, 70.0, 90.0, 90.0]])
    boxes = torch.tensor([[0.0, 0.0, 10.0, 8.0], [60.0, 60.0, 80.0, 72.0], [30.0, 30.0, 40.0, 40.0]])
    found = match(boxes, target(objects), positive_iou=0.5, negative_iou=(0.0, 0.5), one_for_each=True)
    # the first box overlaps the first object most, but is the best that the second one has
    assert found.positive.tolist() == [True, True, False]
    assert found.rows[:2].tolist() == [1, 2]
    assert found.negative.tolist() == [False, False, True]


def test_rows_count_ordinary_objects_only() -> None:
    objects = torch.tensor([[0.0, 0.0, 90.0, 90.0], [0.0, 0.0, 10.0, 10.0], [40.0, 40.0, 50.0, 50.0]])
    given = target(objects, crowd=[True, False, False])
    found = match(objects[1:], given, positive_iou=0.5, negative_iou=(0.0, 0.5))
    assert found.rows.tolist() == [0, 1]
    assert objects_of(given).labels.tolist() == [1, 2]


def test_the_best_box_of_an_object_is_a_positive_however_low_its_iou() -> None:
    boxes = torch.cat([strips(4, 4, 3), torch.tensor([[60.0, 60.0, 70.0, 70.0]])])
    objects = torch.cat([SQUARE, torch.tensor([[80.0, 80.0, 90.0, 90.0]])])  # no box touches the second
    rule = {"positive_iou": 0.7, "negative_iou": (0.0, 0.5)}
    assert not match(boxes, target(objects), **rule).positive.any()
    found = match(boxes, target(objects), **rule, best_for_each=True)
    assert found.positive.tolist() == [True, True, False, False]
    assert found.negative.tolist() == [False, False, True, True]


@pytest.mark.parametrize("best_for_each", [False, True])
def test_matching_is_torchvisions(best_for_each: bool) -> None:
    corners = torch.rand(300, 2) * 70
    boxes = torch.cat([corners, corners + 3 + torch.rand(300, 2) * 25], 1)
    objects = boxes[:6] + 1
    expected = Matcher(0.6, 0.3, allow_low_quality_matches=best_for_each)(box_iou(objects, boxes))
    found = match(boxes, target(objects), positive_iou=0.6, negative_iou=(0.0, 0.3), best_for_each=best_for_each)
    assert torch.equal(found.positive, expected >= 0)
    assert torch.equal(found.negative, expected == Matcher.BELOW_LOW_THRESHOLD)
    assert torch.equal(found.rows[found.positive], expected[expected >= 0])
    assert 6 <= found.positive.sum() < 100


@pytest.mark.parametrize("best_for_each", [False, True])
def test_without_objects_everything_is_background(best_for_each: bool) -> None:
    nothing = Target(image_size=SIZE)
    found = match(strips(10, 5), nothing, positive_iou=0.0, negative_iou=(0.0, 0.5), best_for_each=best_for_each)
    assert not found.positive.any()
    assert found.negative.all()
    assert found.rows.tolist() == [0, 0]
    none = match(torch.zeros(0, 4), target(SQUARE), positive_iou=0.5, negative_iou=(0.0, 0.5))
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
    given = target(objects, **{flag: [True, False]})
    found = match(boxes, given, positive_iou=0.5, negative_iou=(0.0, 0.5), best_for_each=True)
    assert found.positive.tolist() == [False, False, False, False, True, False]
    assert found.negative.tolist() == [False, False, False, True, False, True]
    alone = match(boxes, target(objects[:1], **{flag: [True]}), positive_iou=0.5, negative_iou=(0.0, 0.5))
    assert not alone.positive.any()
    assert alone.negative.tolist() == [False, False, False, True, True, True]


def test_an_object_in_a_crowd_is_learned_all_the_same() -> None:
    objects = torch.tensor([[0.0, 0.0, 40.0, 40.0], [10.0, 10.0, 20.0, 20.0]])
    given = target(objects, crowd=[True, False])
    found = match(objects[1:], given, positive_iou=0.5, negative_iou=(0.0, 0.5))
    assert found.positive.tolist() == [True]
