import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_iou

from delineate.ops.boxes import Weights, coverage, decode_boxes, encode_boxes, paired_iou, scale_boxes

ONES = (1.0, 1.0, 1.0, 1.0)
FAST_RCNN = (10.0, 10.0, 5.0, 5.0)

box = st.tuples(st.floats(-300, 800), st.floats(-300, 800), st.floats(8, 400), st.floats(8, 400)).map(
    lambda sides: (sides[0], sides[1], sides[0] + sides[2], sides[1] + sides[3])
)


@settings(max_examples=200, deadline=None)
@given(pairs=st.lists(st.tuples(box, box), max_size=5), weights=st.sampled_from([ONES, FAST_RCNN]))
def test_decoding_undoes_encoding(pairs: list[tuple[tuple[float, ...], ...]], weights: Weights) -> None:
    boxes, references = torch.tensor(pairs, dtype=torch.float32).view(-1, 2, 4).unbind(1)
    decoded = decode_boxes(encode_boxes(boxes, references, weights), references, weights)
    torch.testing.assert_close(decoded, boxes, atol=0.05, rtol=0)


def test_a_box_twice_as_wide_one_width_to_the_right() -> None:
    reference = torch.tensor([[0.0, 0.0, 10.0, 20.0]])  # centre (5, 10)
    moved = torch.tensor([[5.0, 10.0, 25.0, 30.0]])  # centre (15, 20): a width right, half a height down
    expected = torch.tensor([[1.0, 0.5, math.log(2), 0.0]])
    torch.testing.assert_close(encode_boxes(moved, reference, ONES), expected)
    torch.testing.assert_close(encode_boxes(moved, reference, FAST_RCNN), expected * torch.tensor(FAST_RCNN))
    torch.testing.assert_close(decode_boxes(expected, reference, ONES), moved)


@pytest.mark.parametrize("weights", [ONES, FAST_RCNN])
def test_coding_is_torchvisions(weights: Weights) -> None:
    references, boxes = some_boxes(50), some_boxes(50)
    deltas = torch.randn(50, 4) * 3
    coder = BoxCoder(weights)
    torch.testing.assert_close(encode_boxes(boxes, references, weights), coder.encode_single(boxes, references))
    torch.testing.assert_close(decode_boxes(deltas, references, weights), coder.decode_single(deltas, references))


def test_no_box_grows_without_bound_and_halves_are_decoded_in_float32() -> None:
    reference = torch.tensor([[100.0, 100.0, 116.0, 116.0]])
    decoded = decode_boxes(torch.tensor([[0.0, 0.0, 1e4, 50.0]], dtype=torch.float16), reference.half(), ONES)
    assert decoded.dtype == torch.float32
    assert (decoded[0, 2:] - decoded[0, :2]).tolist() == pytest.approx([1000, 1000], rel=1e-4)


def test_coverage_is_the_share_in_the_one_region_that_covers_most() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 40.0], [0.0, 50.0, 10.0, 60.0]])
    regions = torch.tensor([[5.0, 0.0, 50.0, 10.0], [0.0, 0.0, 4.0, 10.0], [0.0, 15.0, 100.0, 30.0]])
    assert coverage(boxes, regions).tolist() == pytest.approx([0.5, 0.5, 0.0])
    assert coverage(boxes, torch.tensor([[-5.0, -5.0, 99.0, 99.0]])).tolist() == pytest.approx([1, 1, 1])


def test_coverage_of_nothing_or_by_nothing() -> None:
    assert coverage(some_boxes(3), torch.zeros(0, 4)).tolist() == [0, 0, 0]
    assert coverage(torch.zeros(0, 4), some_boxes(3)).shape == (0,)


def test_boxes_move_with_a_resized_picture_and_stay_in_it() -> None:
    boxes = torch.tensor([[0.0, 0.0, 90.0, 30.0], [30.0, 10.0, 45.0, 20.0]])
    assert scale_boxes(boxes, (30, 90), (60, 45)).tolist() == [[0, 0, 45, 60], [15, 20, 22.5, 40]]
    odd = torch.tensor([[0.0, 0.0, 641.0, 427.0]])
    assert bool((scale_boxes(odd, (427, 641), (133, 199))[0, 2:] <= torch.tensor([199.0, 133.0])).all())
    assert scale_boxes(torch.zeros(0, 4), (30, 90), (60, 45)).shape == (0, 4)


def some_boxes(count: int) -> Tensor:
    corners = torch.rand(count, 2) * 200
    return torch.cat([corners, corners + 1 + torch.rand(count, 2) * 150], 1)


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(box, box), max_size=5))
def test_paired_iou_is_the_diagonal_of_all_pairs(pairs: list[tuple[tuple[float, ...], ...]]) -> None:
    boxes, others = (torch.tensor([pair[i] for pair in pairs]).view(-1, 4) for i in range(2))
    torch.testing.assert_close(paired_iou(boxes, others), box_iou(boxes, others).diagonal())


def test_boxes_without_area_overlap_nothing() -> None:
    point = torch.tensor([[5.0, 5.0, 5.0, 5.0]])
    assert paired_iou(point, point).tolist() == [0.0]
