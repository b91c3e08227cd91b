from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from delineate.models.two_stage.proposers import rpn as rpn_module
from delineate.models.two_stage.proposers.rpn import RPN, WEIGHTS, Selection
from delineate.nn.sampling import sample_balanced
from delineate.ops.boxes import decode_boxes
from delineate.ops.nms import clip
from delineate.values import Target, Truth, truths_of

SIZE = (80, 112)


def network(**arguments: Any) -> RPN:
    rpn = RPN(channels=8, finest_stride=8, sizes=[[16.0], [32.0]], **arguments)
    with torch.no_grad():
        for conv in (rpn.objectness, rpn.deltas):
            conv.weight *= 100
    return rpn


def levels(seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 8, 10, 14, generator=generator), torch.randn(2, 8, 5, 7, generator=generator)]


def real(proposals: Tensor) -> Tensor:
    """Those of a picture's proposals that do not fill it up: these are boxes of zeros at the end."""
    count = int((proposals[:, 2] > proposals[:, 0]).sum())
    assert not proposals[count:].any()
    return proposals[:count]


def objectness_of(proposals: Tensor, rpn: RPN, picture: int) -> Tensor:
    """The scores of the anchors that the proposals of a picture come from."""
    objectness, deltas = (torch.cat(parts, 1)[picture] for parts in rpn.scores(levels()))
    moved = clip(decode_boxes(deltas, torch.cat(rpn.anchors(levels())), WEIGHTS), SIZE)
    distances, nearest = torch.cdist(proposals, moved, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    assert distances.max() < 1e-3
    return objectness[nearest].sigmoid()


def test_proposals_lie_within_the_picture_best_first_and_apart() -> None:
    rpn = network(testing=Selection(before_nms=100, after_nms=30))
    for picture, proposals in enumerate(rpn(levels(), SIZE)):
        assert proposals.shape == (30, 4)
        boxes = real(proposals)
        assert 10 < len(boxes) <= 30
        assert (boxes >= 0).all()
        assert (boxes <= torch.tensor([112.0, 80.0, 112.0, 80.0])).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        scores = objectness_of(boxes, rpn, picture)
        assert (scores.diff() <= 0).all()
        assert scores[0] > scores[-1]


def test_proposals_of_one_level_overlap_no_more_than_nms_allows() -> None:
    rpn = network(nms_threshold=0.4)
    objectness, deltas = rpn.scores(levels())
    first = [part[:1] for part in objectness[:1]], [part[:1] for part in deltas[:1]], rpn.anchors(levels())[:1]
    kept = real(rpn.select(*first, SIZE, Selection(1000, 1000))[0])
    overlap = box_iou(kept, kept).fill_diagonal_(0)
    assert 5 < len(kept) < 420
    assert overlap.max() <= 0.4


def test_a_level_thins_out_nothing_of_another() -> None:
    rpn = network(nms_threshold=0.4)
    (objectness, deltas), anchors = rpn.scores(levels()), rpn.anchors(levels())

    def kept(levels: slice) -> list[list[float]]:
        (proposals,) = rpn.select(
            [part[:1] for part in objectness[levels]],
            [part[:1] for part in deltas[levels]],
            anchors[levels],
            SIZE,
            Selection(1000, 1000),
        )
        return sorted(real(proposals).tolist())

    assert kept(slice(0, 2)) == sorted(kept(slice(0, 1)) + kept(slice(1, 2)))


def test_few_of_a_level_go_in_and_few_of_a_picture_come_out() -> None:
    rpn = network(nms_threshold=1.0)
    objectness, deltas = rpn.scores(levels())
    deltas = [torch.zeros_like(part) for part in deltas]  # so that none is moved out of the picture
    for before, after, expected in ((5, 100, 10), (5, 7, 7), (10**6, 10**6, 3 * (140 + 35))):
        proposals = rpn.select(objectness, deltas, rpn.anchors(levels()), SIZE, Selection(before, after))
        assert proposals.shape == (2, after, 4)
        assert [len(real(boxes)) for boxes in proposals] == [expected] * 2


def test_in_training_other_numbers_hold_and_no_gradient_flows_through_boxes() -> None:
    rpn = network(training=Selection(20, 11), testing=Selection(20, 3), nms_threshold=1.0)
    target = Target(image_size=SIZE, boxes=torch.tensor([[10.0, 10.0, 40.0, 40.0]]), labels=torch.tensor([0]))
    proposals, losses = rpn.loss(levels(), SIZE, truths_of([target, target]))
    assert [len(real(boxes)) for boxes in proposals] == [11, 11]
    assert not proposals.requires_grad
    assert [len(real(boxes)) for boxes in rpn(levels(), SIZE)] == [3, 3]
    assert set(losses) == {"objectness", "rpn_box"}
    sum(losses.values()).backward()
    assert all(parameter.grad.any() for parameter in rpn.parameters() if parameter.ndim > 1)


def test_anchors_across_the_border_are_learned_from_where_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: list[Tensor] = []

    def remember(positive: Tensor, negative: Tensor, **rule: Any) -> tuple[Tensor, Tensor]:
        sampled.append(positive | negative)
        return sample_balanced(positive, negative, **rule)

    monkeypatch.setattr(rpn_module, "sample_balanced", remember)
    target = Target(image_size=SIZE, boxes=torch.tensor([[0.0, 0.0, 30.0, 30.0]]), labels=torch.tensor([0]))
    for crossing in (True, False):
        network(crossing=crossing).loss([level[:1] for level in levels()], SIZE, truths_of([target]))
    anchors = torch.cat(network().anchors(levels()))
    whole = ((anchors >= 0) & (anchors <= torch.tensor([112.0, 80.0, 112.0, 80.0]))).all(1)
    assert (sampled[0] & ~whole).any()
    assert not (sampled[1] & ~whole).any()
    assert sampled[1][whole].float().mean() > 0.9
    assert rpn_module._whole(anchors, (9, 9)).all()  # none lies within so small a picture


def test_anchors_that_are_right_cost_nothing() -> None:
    rpn = RPN(channels=8, finest_stride=8, sizes=[[16.0], [32.0]])
    anchors = torch.cat(rpn.anchors(levels()))
    inside = ((anchors >= 0) & (anchors <= torch.tensor([112.0, 80.0, 112.0, 80.0]))).all(1)
    truth = Truth.of(Target(image_size=SIZE, boxes=anchors[inside][[40]], labels=torch.tensor([0])))
    one = [level[:1] for level in levels()]
    right = [torch.full((1, len(part)), -30.0) for part in rpn.anchors(levels())]
    where = int(inside.nonzero()[40])
    assert where < right[0].shape[1]
    right[0][0, where] = 30.0
    logits = list(right), [torch.zeros(*part.shape, 4) for part in right]
    rpn.scores = lambda _: logits
    _, losses = rpn.loss(one, SIZE, [truth])
    assert losses["objectness"] < 1e-6
    assert losses["rpn_box"] == 0
    right[0][0, where] = -30.0
    _, losses = rpn.loss(one, SIZE, [truth])
    assert losses["objectness"] > 0.1
