import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from delineate.nn import selection
from delineate.ops.nms import Found, select

BOXES = torch.tensor([[10.0, 10.0, 30.0, 30.0], [11.0, 10.0, 31.0, 30.0], [50.0, 20.0, 90.0, 40.0]])


def found(scores: Tensor, boxes: Tensor = BOXES, max_candidates: int | None = None, threshold: float = 0.1) -> Found:
    return select(
        scores,
        lambda rows, _: boxes[rows],
        (60, 80),
        score_threshold=threshold,
        nms_threshold=0.5,
        max_detections=100,
        max_candidates=max_candidates,
    )


def test_only_what_scores_is_decoded() -> None:
    asked: list[list[int]] = []

    def decode(rows: Tensor, labels: Tensor) -> Tensor:
        asked.append(rows.tolist())
        asked.append(labels.tolist())
        return BOXES[rows]

    scores = torch.tensor([[0.05, 0.3], [0.05, 0.05], [0.6, 0.02]])
    select(scores, decode, (60, 80), score_threshold=0.1, nms_threshold=0.5, max_detections=9)
    assert asked == [[0, 2], [1, 0]]


def test_candidates_are_the_best_of_each_class() -> None:
    scores = torch.tensor([[0.3, 0.9], [0.4, 0.2], [0.2, 0.8]])
    its = found(scores, max_candidates=1)
    assert list(zip(its.labels.tolist(), its.boxes[:, 0].tolist(), strict=True)) == [(1, 10), (0, 11)]
    both = found(scores, max_candidates=9)
    assert all(torch.equal(one, other) for one, other in zip(both, found(scores), strict=True))


def test_boxes_are_cut_at_the_borders_and_those_outside_go() -> None:
    its = found(torch.tensor([[0.9], [0.8]]), torch.tensor([[60.0, 20.0, 95.0, 70.0], [81.0, 0.0, 90.0, 9.0]]))
    assert its.boxes.tolist() == [[60, 20, 80, 60]]


def test_many_classes_are_thinned_out_as_torchvision_does() -> None:
    corners = torch.rand(300, 2) * torch.tensor([60.0, 40.0])
    boxes = torch.cat([corners, corners + 5 + 15 * torch.rand(300, 2)], 1)
    scores = torch.rand(300, 40)
    its = found(scores, boxes, threshold=0.9)
    rows, labels = (scores > 0.9).nonzero().unbind(1)
    kept = batched_nms(boxes[rows], scores[rows, labels], labels, 0.5)[:100]
    assert torch.equal(its.boxes, boxes[rows][kept])
    assert torch.equal(its.labels, labels[kept])


@pytest.mark.parametrize("max_detections", [5, 60, 10**6])
def test_boxes_in_chunks_are_thinned_out_as_all_at_once(max_detections: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corners = torch.rand(700, 2) * torch.tensor([60.0, 40.0])
    boxes = torch.cat([corners, corners + 5 + 15 * torch.rand(700, 2)], 1)
    scores = (torch.rand(700, 3) * 20).round() / 20  # many are equal
    options = {"score_threshold": 0.1, "nms_threshold": 0.5, "max_detections": max_detections}

    def selected(chunk: int) -> Found:
        monkeypatch.setattr(selection, "CHUNK", chunk)
        return select(scores, lambda rows, _: boxes[rows], (60, 80), **options)

    for some, all_at_once in zip(selected(50), selected(10**6), strict=True):
        assert torch.equal(some, all_at_once)
