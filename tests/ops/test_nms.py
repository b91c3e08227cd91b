import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from delineate.ops.nms import NONE, Selected, keep_best, select

BOXES = torch.tensor([[10.0, 10.0, 30.0, 30.0], [11.0, 10.0, 31.0, 30.0], [50.0, 20.0, 90.0, 40.0]])
OPTIONS = {"score": 0.1, "nms_iou": 0.5, "max_candidates": None, "max_detections": 100}


def selected(scores: Tensor, boxes: Tensor = BOXES, **options: float | None) -> Selected:
    """What is selected of one picture, from scores `(N, C)` and the boxes of all classes."""
    rows = select(scores.T[None], boxes[None, None], (60, 80), **{**OPTIONS, **options})
    kept = rows.scores[0] >= 0
    return Selected(*(value[0][kept] for value in rows))


def test_rows_are_of_a_fixed_number_and_score_none_where_nothing_is() -> None:
    scores = torch.tensor([[[0.05, 0.05, 0.6], [0.3, 0.05, 0.02]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    rows = select(scores, BOXES.expand(2, 1, -1, -1), (60, 80), **{**OPTIONS, "max_detections": 9})
    assert rows.boxes.shape == (2, 9, 4)
    assert (rows.scores >= 0).sum(1).tolist() == [2, 0]
    assert rows.labels[0, :2].tolist() == [0, 1]
    assert (rows.scores[1] == NONE).all()


def test_candidates_are_the_best_of_each_class() -> None:
    scores = torch.tensor([[0.3, 0.9], [0.4, 0.2], [0.2, 0.8]])
    alone = selected(scores, max_candidates=1)
    assert list(zip(alone.labels.tolist(), alone.boxes[:, 0].tolist(), strict=True)) == [(1, 10), (0, 11)]
    both = selected(scores, max_candidates=9)
    assert all(torch.equal(one, other) for one, other in zip(both, selected(scores), strict=True))


def test_boxes_are_cut_at_the_borders_and_those_outside_go() -> None:
    boxes = torch.tensor([[60.0, 20.0, 95.0, 70.0], [81.0, 0.0, 90.0, 9.0]])
    assert selected(torch.tensor([[0.9], [0.8]]), boxes).boxes.tolist() == [[60, 20, 80, 60]]


def test_many_classes_are_thinned_out_as_torchvision_does() -> None:
    corners = torch.rand(300, 2) * torch.tensor([60.0, 40.0])
    boxes = torch.cat([corners, corners + 5 + 15 * torch.rand(300, 2)], 1)
    scores = torch.rand(300, 40)
    result = selected(scores, boxes, score=0.9)
    rows, labels = (scores > 0.9).nonzero().unbind(1)
    kept = batched_nms(boxes[rows], scores[rows, labels], labels, 0.5)[:100]
    assert torch.equal(result.boxes, boxes[rows][kept])
    assert torch.equal(result.labels, labels[kept])


@pytest.mark.parametrize("max_detections", [5, 60, 3000])
def test_pictures_of_a_batch_are_thinned_out_as_each_alone(max_detections: int) -> None:
    corners = torch.rand(2, 1, 700, 2) * torch.tensor([60.0, 40.0])
    boxes = torch.cat([corners, corners + 5 + 15 * torch.rand(2, 1, 700, 2)], -1)
    scores = (torch.rand(2, 3, 700) * 20).round() / 20  # many are equal
    options = {**OPTIONS, "max_detections": max_detections}
    together = select(scores, boxes, (60, 80), **options)
    for picture in range(2):
        alone = select(scores[[picture]], boxes[[picture]], (60, 80), **options)
        for some, every in zip(alone, together, strict=True):
            assert torch.equal(some[0], every[picture])


def test_without_suppression_all_that_score_are_kept() -> None:
    scores = torch.tensor([[0.5, NONE, 0.0]])
    assert keep_best(BOXES[None, None], scores[None], 1.0, 9).tolist() == [[[True, False, True]]]


@pytest.mark.parametrize("max_candidates", [None, 250])
def test_of_all_classes_at_once_only_the_best_of_what_overlaps_stays(max_candidates: int | None) -> None:
    corners = torch.rand(200, 2) * torch.tensor([60.0, 40.0])
    boxes, scores = torch.cat([corners, corners + 5 + 15 * torch.rand(200, 2)], 1), torch.rand(200, 5)
    result = selected(scores, boxes, class_agnostic=True, max_candidates=max_candidates)
    rows, labels = (scores > 0.1).nonzero().unbind(1)
    kept = nms(boxes[rows], scores[rows, labels], 0.5)[:100]
    assert torch.equal(result.boxes, boxes[rows][kept])
    assert torch.equal(result.labels, labels[kept])
    assert len(kept) < len(selected(scores, boxes, max_detections=1000).boxes)
