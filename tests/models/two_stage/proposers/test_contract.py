from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_iou

from delineate.data.preprocess import Preprocess
from delineate.models.two_stage import proposers
from delineate.models.two_stage.proposers.contract import SelectiveSearch, SlidingWindow
from delineate.models.two_stage.proposers.rpn import RPN, Selection
from delineate.values import Target

SIZE = (80, 112)
IMAGES = torch.zeros(2, 3, *SIZE)


def window(**arguments: Any) -> SlidingWindow:
    return SlidingWindow(**{"scales": [16.0, 32.0, 64.0], "aspect_ratios": [0.5, 1.0, 2.0], **arguments})


@settings(max_examples=60, deadline=None)
@given(size=st.tuples(st.integers(1, 200), st.integers(1, 200)), step=st.sampled_from([0.25, 0.5, 1.0]))
def test_windows_lie_within_the_picture(size: tuple[int, int], step: float) -> None:
    boxes = window(step=step).windows(size)
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= size[1]).all()
    assert (boxes[:, 3] <= size[0]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    if step == 0.25 and min(size) >= 16:
        assert len(boxes) > 0


def test_a_square_anywhere_has_a_window_close_to_it() -> None:
    # at most half a step away in both directions, which is an eighth of the side: IoU (7/8)^2 / (2 - (7/8)^2)
    boxes = window().windows(SIZE)
    for side in (16, 32, 64):
        corners = torch.rand(200, 2) * (torch.tensor([112.0, 80.0]) - side)
        squares = torch.cat([corners, corners + side], 1)
        assert box_iou(squares, boxes).amax(1).min() > 0.62


def test_windows_are_cut_at_borders_but_never_by_more_than_half() -> None:
    boxes = SlidingWindow(scales=[32.0], aspect_ratios=[1.0], step=0.5).windows((64, 64))
    sides = (boxes[:, 2:] - boxes[:, :2]).tolist()
    assert sorted(set(map(tuple, sides))) == [(16, 32), (32, 16), (32, 32)]
    assert len(boxes) == 9 + 12  # 3 x 3 whole ones, 3 at each border, none of the four corners


def test_windows_are_all_as_likely_and_the_same_for_every_picture() -> None:
    first, second = window()(IMAGES, ())
    assert torch.equal(first.boxes, second.boxes)
    assert first.scores.unique().tolist() == [1.0]
    assert first.image_size == SIZE


def test_proposals_that_came_with_the_targets_are_taken() -> None:
    given = [torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[5.0, 5.0, 10.0, 10.0]] * 3)]
    targets = [Target(image_size=SIZE, proposals=boxes) for boxes in given]
    boxes, losses = window().loss(IMAGES, (), targets)
    assert losses == {}
    assert all(torch.equal(found, expected) for found, expected in zip(boxes, given, strict=True))
    boxes, _ = window().loss(IMAGES, (), [targets[0], Target(image_size=SIZE)])
    assert [len(found) for found in boxes] == [len(window().windows(SIZE))] * 2


def test_selective_search_sees_the_colours_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def search(image: Tensor, **options: Any) -> Tensor:
        seen.append((image, options))
        return torch.tensor([[0.0, 0.0, 9.0, 9.0], [1.0, 1.0, 5.0, 5.0]])

    monkeypatch.setattr(proposers, "selective_search", search)
    preprocess = Preprocess(mean=(0.2, 0.5, 0.6), std=(0.3, 0.1, 0.2))
    images = torch.randint(0, 256, (2, 3, 12, 15), dtype=torch.uint8)
    proposer = SelectiveSearch(mode="quality", max_proposals=7, preprocess=preprocess)
    found = proposer(preprocess.normalise(images), ())
    assert torch.equal(torch.stack([image for image, _ in seen]), images)
    assert all(options == {"mode": "quality", "max_proposals": 7} for _, options in seen)
    assert all(len(proposals) == 2 and proposals.scores[0] > proposals.scores[1] for proposals in found)


def test_other_settings_of_selective_search_have_another_name() -> None:
    searches = [SelectiveSearch(), SelectiveSearch(mode="quality"), SelectiveSearch(max_proposals=50)]
    assert len({search.settings for search in searches}) == 3


def network(**arguments: Any) -> RPN:
    rpn = RPN(channels=8, finest_stride=8, sizes=[[16.0], [32.0]], **arguments)
    with torch.no_grad():
        for conv in (rpn.objectness, rpn.deltas):
            conv.weight *= 100
    return rpn


def levels(seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 8, 10, 14, generator=generator), torch.randn(2, 8, 5, 7, generator=generator)]


def test_proposals_lie_within_the_picture_best_first_and_apart() -> None:
    rpn = network(testing=Selection(before_nms=100, after_nms=30))
    for proposals in rpn(IMAGES, levels()):
        assert 10 < len(proposals) <= 30
        boxes = proposals.boxes
        assert (boxes >= 0).all()
        assert (boxes <= torch.tensor([112.0, 80.0, 112.0, 80.0])).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (proposals.scores.diff() <= 0).all()
        assert proposals.scores[0] > proposals.scores[-1]


def test_proposals_of_one_level_overlap_no_more_than_nms_allows() -> None:
    rpn = network(nms_threshold=0.4)
    objectness, deltas = rpn.scores(levels())
    first = [part[:1] for part in objectness[:1]], [part[:1] for part in deltas[:1]], rpn.anchors(levels())[:1]
    (kept,) = rpn.select(*first, SIZE, Selection(1000, 1000))
    overlap = box_iou(kept.boxes, kept.boxes).fill_diagonal_(0)
    assert 5 < len(kept) < 420
    assert overlap.max() <= 0.4


def test_a_level_thins_out_nothing_of_another() -> None:
    rpn = network(nms_threshold=0.4)
    (objectness, deltas), anchors = rpn.scores(levels()), rpn.anchors(levels())

    def found(levels: slice) -> list[list[float]]:
        (kept,) = rpn.select(
            [part[:1] for part in objectness[levels]],
            [part[:1] for part in deltas[levels]],
            anchors[levels],
            SIZE,
            Selection(1000, 1000),
        )
        return sorted(kept.boxes.tolist())

    assert found(slice(0, 2)) == sorted(found(slice(0, 1)) + found(slice(1, 2)))


def test_few_of_a_level_go_in_and_few_of_a_picture_come_out() -> None:
    rpn = network(nms_threshold=1.0)
    objectness, deltas = rpn.scores(levels())
    deltas = [torch.zeros_like(part) for part in deltas]  # so that none is moved out of the picture
    for before, after, expected in ((5, 100, 10), (5, 7, 7), (10**6, 10**6, 3 * (140 + 35))):
        found = rpn.select(objectness, deltas, rpn.anchors(levels()), SIZE, Selection(before, after))
        assert [len(proposals) for proposals in found] == [expected] * 2


def test_in_training_other_numbers_hold_and_no_gradient_flows_through_boxes() -> None:
    rpn = network(training=Selection(20, 11), testing=Selection(20, 3), nms_threshold=1.0)
    target = Target(image_size=SIZE, boxes=torch.tensor([[10.0, 10.0, 40.0, 40.0]]), labels=torch.tensor([0]))
    boxes, losses = rpn.loss(IMAGES, levels(), [target, target])
    assert [len(found) for found in boxes] == [11, 11]
    assert not any(found.requires_grad for found in boxes)
    assert [len(found) for found in rpn(IMAGES, levels())] == [3, 3]
    assert set(losses) == {"objectness", "rpn_box"}
    sum(losses.values()).backward()
    assert all(parameter.grad.any() for parameter in rpn.parameters() if parameter.ndim > 1)


def test_anchors_that_are_right_cost_nothing() -> None:
    rpn = RPN(channels=8, finest_stride=8, sizes=[[16.0], [32.0]])
    anchors = torch.cat(rpn.anchors(levels()))
    inside = ((anchors >= 0) & (anchors <= torch.tensor([112.0, 80.0, 112.0, 80.0]))).all(1)
    target = Target(image_size=SIZE, boxes=anchors[inside][[40]], labels=torch.tensor([0]))
    right = [torch.full((1, len(part)), -30.0) for part in rpn.anchors(levels())]
    where = int(inside.nonzero()[40])
    assert where < right[0].shape[1]
    right[0][0, where] = 30.0
    logits = list(right), [torch.zeros(*part.shape, 4) for part in right]
    rpn.scores = lambda _: logits  # type: ignore[method-assign]
    _, losses = rpn.loss(IMAGES[:1], levels(), [target])
    assert losses["objectness"] < 1e-6
    assert losses["rpn_box"] == 0
    right[0][0, where] = -30.0
    _, losses = rpn.loss(IMAGES[:1], levels(), [target])
    assert losses["objectness"] > 0.1
