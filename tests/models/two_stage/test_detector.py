from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models.systems import pictures
from torch import Tensor
from torchvision.ops import box_iou

from delineate.data.preprocess import Preprocess
from delineate.models.two_stage import RegionDetector
from delineate.models.two_stage.detector import RegionOutputs, Sampling
from delineate.models.two_stage.pipeline import region_detector
from delineate.models.two_stage.proposers.rpn import RPN
from delineate.system.inference import infer
from delineate.values import Detections, Target

SIZE = (64, 80)
OBJECTS = torch.tensor([[10.0, 10.0, 30.0, 30.0], [40.0, 20.0, 60.0, 50.0]])


def detector(**options: Any) -> RegionDetector:
    stages = {"proposer": "rpn", "roi": "align", "fpn": True, "masks": True, "num_keypoints": 3}
    tiny = {"backbone": "resnet10t", "width": 16, "anchor_size": 16, "sampling": Sampling(num_rois=16)}
    return region_detector(**{"num_classes": 2, **stages, **tiny, **options})


def target(**flags: list[bool]) -> Target:
    fields = {name: torch.tensor(values) for name, values in flags.items()}
    return Target(image_size=SIZE, boxes=OBJECTS, labels=torch.tensor([1, 0]), **fields)


def around(boxes: Tensor, count: int, share: float = 0.1) -> Tensor:
    """`count` boxes around each box, moved by up to a share of its sides."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moved = boxes[:, None] + sides[:, None] * torch.empty(len(boxes), count, 4).uniform_(-share, share)
    return moved.flatten(0, 1)


ELSEWHERE = torch.tensor([[0.0, 40.0, 20.0, 60.0]])


def test_sampled_rois_answer_for_their_objects() -> None:
    model = detector(sampling=Sampling(num_rois=20, positive_share=0.4))
    proposals = torch.cat([around(OBJECTS, 15), ELSEWHERE.repeat(40, 1)])
    rois = model.sample(proposals, target())
    assert len(rois.boxes) == 20
    assert (rois.labels != 2).sum() == 8
    best, rows = box_iou(OBJECTS, rois.boxes).max(0)
    positive = rois.labels != 2
    assert torch.equal(positive, best >= 0.5)
    assert torch.equal(rois.rows[positive], rows[positive])
    assert torch.equal(rois.labels[positive], torch.tensor([1, 0])[rows[positive]])


def test_the_objects_themselves_are_among_the_candidates() -> None:
    rois = detector().sample(torch.zeros(0, 4), target())
    assert torch.equal(rois.boxes, OBJECTS)
    assert rois.labels.tolist() == [1, 0]
    without = detector().sample(ELSEWHERE, Target(image_size=SIZE))
    assert torch.equal(without.boxes, ELSEWHERE)
    assert without.labels.tolist() == [2]


@pytest.mark.parametrize("flag", ["crowd", "difficult"])
def test_what_is_not_counted_is_neither_learned_nor_background(flag: str) -> None:
    model = detector(sampling=Sampling(num_rois=100, positive_share=0.5))
    proposals = torch.cat([around(OBJECTS, 15), around(torch.tensor([[14.0, 14.0, 22.0, 22.0]]), 15), ELSEWHERE])
    rois = model.sample(proposals, target(**{flag: [True, False]}))
    assert set(rois.labels.tolist()) == {0, 2}  # the object that is left, and background
    inside = (rois.boxes[:, 0] < 32) & (rois.boxes[:, 1] < 32)
    assert not inside.any()
    assert (rois.labels == 2).sum() == 1


def test_only_background_near_objects_where_the_system_asks_for_it() -> None:
    model = detector(sampling=Sampling(num_rois=50, background_iou=(0.1, 0.5)))
    near = torch.tensor([[10.0, 10.0, 18.0, 30.0]])  # an IoU of 0.4
    rois = model.sample(torch.cat([near, ELSEWHERE]), target())
    assert torch.equal(rois.boxes[rois.labels == 2], near)


def test_losses_of_masks_and_poses_are_those_of_objects_that_count() -> None:
    model = detector()
    images, targets = pictures(2, SIZE)
    inputs = Preprocess().normalise(images)
    model.loss(inputs, targets)
    assert model.keypoint_classes.tolist() == [True, False]
    crowd = [replace(its, crowd=torch.tensor([True, True])) for its in targets]
    losses = model.loss(inputs, crowd)
    assert losses["mask"] == losses["keypoint"] == losses["box"] == losses["rpn_box"] == 0


def test_proposals_take_the_place_of_the_proposers(monkeypatch: pytest.MonkeyPatch) -> None:
    model = detector(proposer="selective_search", roi="pool", fpn=False).eval()
    monkeypatch.setattr(model.proposer, "forward", lambda *_: pytest.fail("was asked"))
    model.box_head.regress.weight.data.zero_()  # boxes stay where they are
    model.score_threshold = 0.0
    images, targets = pictures(2, SIZE)
    proposals = [targets[0].boxes, ELSEWHERE]
    first, second = model(Preprocess().normalise(images), proposals)
    for output, boxes in ((first, proposals[0]), (second, proposals[1])):
        assert {tuple(box) for box in output.boxes.tolist()} == {tuple(box) for box in boxes.tolist()}


def test_proposals_go_with_their_pictures_whatever_runs_together() -> None:
    model = detector(proposer="selective_search", roi="pool", fpn=False).eval()
    model.box_head.regress.weight.data.zero_()
    model.score_threshold = 0.0
    small, large = pictures(2, SIZE)[0], pictures(1, (70, 90))[0]
    images = [small[0], large[0], small[1]]
    proposals = [torch.tensor([[float(i), 5.0, 30.0, 40.0]]) for i in range(3)]
    found = infer(model, Preprocess(), images, proposals=proposals)
    for number, result in enumerate(found):
        assert isinstance(result, Detections)
        assert result.boxes[:, 0].unique().tolist() == [number]


def test_where_nothing_is_proposed_nothing_is_found() -> None:
    model = detector().eval()
    images, targets = pictures(2, SIZE)
    outputs = model(Preprocess().normalise(images), [torch.zeros(0, 4), targets[1].boxes])
    nothing, something = model.postprocess(outputs, [SIZE, SIZE])
    assert len(nothing) == 0
    assert nothing.masks.shape == (0, *SIZE)
    assert nothing.keypoints.shape == (0, 3, 2)
    assert len(something) > 0
    none = model.postprocess(model(Preprocess().normalise(images), [torch.zeros(0, 4)] * 2), [SIZE, SIZE])
    assert [len(result) for result in none] == [0, 0]


def test_results_are_in_the_original_picture() -> None:
    model = detector()
    model.keypoint_classes[1] = True
    heatmaps = torch.zeros(2, 3, 56, 56)
    heatmaps[:, :, 28, 14] = 50.0  # halfway down, a quarter to the right
    masks = torch.zeros(2, 28, 28)
    masks[:, :, :14] = 1.0  # the left half
    boxes = torch.tensor([[20.0, 10.0, 60.0, 50.0], [0.0, 0.0, 80.0, 64.0]])
    outputs = RegionOutputs(SIZE, boxes, torch.tensor([0.9, 0.8]), torch.tensor([1, 0]), masks, heatmaps)
    (found,) = model.postprocess([outputs], [(128, 240)])  # twice as high, three times as wide
    assert found.boxes.tolist() == [[60, 20, 180, 100], [0, 0, 240, 128]]
    mask = found.masks[0]
    assert mask[25:95, 65:115].all()
    assert not mask[:, 125:].any()
    assert not mask[:15].any()
    torch.testing.assert_close(found.keypoints[0], torch.tensor([90.0, 60.0]).expand(3, 2), atol=2.0, rtol=0)
    assert found.visibility.tolist() == [[2, 2, 2], [0, 0, 0]]  # of the second's class no keypoint was ever seen
    assert found.keypoints[1].tolist() == [[0, 0]] * 3


def test_proposals_of_a_learned_proposer_are_learned_from_but_not_through() -> None:
    model = detector(masks=False, num_keypoints=0)
    assert isinstance(model.proposer, RPN)
    images, targets = pictures(2, SIZE)
    losses = model.loss(Preprocess().normalise(images), targets)
    (losses["class"] + losses["box"]).backward()
    assert all(parameter.grad is None for parameter in model.proposer.parameters())


def test_an_empty_picture_has_background_to_learn_from_whatever_its_lowest_iou() -> None:
    model = detector(sampling=Sampling(num_rois=8, background_iou=(0.1, 0.5)))
    assert len(model.sample(ELSEWHERE.repeat(20, 1), Target(image_size=SIZE)).boxes) == 8
    rois = model.sample(ELSEWHERE.repeat(20, 1), target())
    assert torch.equal(rois.boxes, OBJECTS), "beside objects, what touches none of them is too easy"


def test_selective_search_sees_the_original_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    model = detector(proposer="selective_search", masks=False, num_keypoints=0).eval()
    assert model.search is not None
    seen, given = [], []

    def boxes(image: Tensor) -> Tensor:
        seen.append(image)
        return torch.tensor([[0.0, 0.0, 40.0, 30.0]])

    forward = model.forward

    def forwarded(images: Tensor, proposals: list[Tensor]) -> list[RegionOutputs]:
        given.append(proposals)
        return forward(images, proposals)

    monkeypatch.setattr(model.search, "boxes", boxes)
    monkeypatch.setattr(model, "forward", forwarded)
    image = torch.randint(0, 255, (3, 60, 80), dtype=torch.uint8)
    infer(model, Preprocess(short_side=30, mean=(0.5, 0.5, 0.5)), [image])
    assert torch.equal(seen[0], image)
    assert given[0][0].tolist() == [[0, 0, 20, 15]]


def test_a_proposer_that_needs_features_is_no_search() -> None:
    assert detector().search is None
