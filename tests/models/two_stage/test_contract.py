"""What every region system must do, beside what all systems must (`../test_contract.py`)."""

from typing import Any

import pytest
import torch
from tests.models.systems import CATEGORIES, REGIONAL, pictures, tiny
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.data.transforms import changed
from delineate.metrics import CocoEvaluation
from delineate.models.two_stage import RegionDetector
from delineate.models.two_stage.proposers.contract import SelectiveSearch
from delineate.system.catalog import CATALOG
from delineate.system.inference import infer
from delineate.values import Detections, Target

ENOUGH = {"AP50": 0.95, "AP75": 0.7, "mask_AP50": 0.9, "keypoint_AP": 0.9}


@pytest.fixture(params=REGIONAL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def decided(name: str) -> RegionDetector:
    """A fresh system that says something: its scores are far apart, and their order is no chance of rounding."""
    model = tiny(name)
    assert isinstance(model, RegionDetector)
    with torch.no_grad():
        model.box_head.classify.weight *= 40
        model.box_head.regress.weight *= 40
        model.keypoint_classes[0] = True
    return model.eval()


def test_results_are_whole(name: str) -> None:
    model = decided(name)
    outputs = model(Preprocess().normalise(pictures(2)[0]))
    results = model.postprocess(outputs, [(40, 33), (100, 120)])
    for result in results:
        assert len(result) > 0
        assert result.labels.max() < 2
        assert (result.masks is None) == (CATALOG[name].task != "mask")
        assert (result.keypoints is None) == (CATALOG[name].task != "pose")
        if result.masks is not None:
            assert result.masks.shape == (len(result), *result.image_size)
        if result.keypoints is not None:
            assert result.keypoints.shape == (len(result), 3, 2)
            assert torch.equal(result.visibility > 0, (result.labels == 0)[:, None].expand(-1, 3))


def test_a_prediction_never_depends_on_its_batch_mates(name: str) -> None:
    model = decided(name)
    small, large = pictures(2)[0], pictures(2, (80, 120))[0]
    images = [small[0], large[0], small[1], large[1]]
    together = infer(model, Preprocess(), images)
    for image, result in zip(images, together, strict=True):
        (alone,) = infer(model, Preprocess(), [image])
        assert isinstance(alone, Detections)
        assert isinstance(result, Detections)
        assert len(alone) == len(result) > 0
        torch.testing.assert_close(alone.boxes, result.boxes, atol=1e-2, rtol=0)
        torch.testing.assert_close(alone.scores, result.scores, atol=1e-4, rtol=0)
        assert torch.equal(alone.labels, result.labels)
        if alone.masks is not None and result.masks is not None:
            assert (alone.masks != result.masks).float().mean() < 1e-3
        if alone.keypoints is not None and result.keypoints is not None:
            torch.testing.assert_close(alone.keypoints, result.keypoints, atol=1e-1, rtol=0)


def test_overfits_four_pictures(name: str) -> None:
    model = tiny(name)
    assert isinstance(model, RegionDetector)
    images, targets = pictures(4, (96, 128))
    proposals = None
    if isinstance(model.proposer, SelectiveSearch):
        targets = [changed(target, proposals=near_and_far(target)) for target in targets]
        proposals = [target.proposals for target in targets]
    inputs = Preprocess().normalise(images)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0)
    metrics: dict[str, float] = {}
    for step in range(300):
        optimizer.zero_grad()
        sum(model.train().loss(inputs, targets).values()).backward()
        optimizer.step()
        if step % 20 == 19:
            metrics = measured(model.eval(), images, targets, proposals)
            if reached(metrics):
                break
    assert reached(metrics), metrics


def measured(model: RegionDetector, images: Tensor, targets: list[Target], proposals: Any) -> dict[str, float]:
    evaluation = CocoEvaluation()
    results = infer(model, Preprocess(), list(images), sizes=[(96, 128)] * 4, proposals=proposals)
    for result, target in zip(results, targets, strict=True):
        assert isinstance(result, Detections)
        evaluation.add(result, target)
    return evaluation.metrics(CATEGORIES.class_names)


def reached(metrics: dict[str, float]) -> bool:
    return all(metrics.get(name, 1.0) >= score for name, score in ENOUGH.items())


def near_and_far(target: Target) -> Tensor:
    """Proposals as another proposer might give them: some about every object, and as many anywhere."""
    height, width = target.image_size
    limit = torch.tensor([width, height, width, height])
    sides = (target.boxes[:, 2:] - target.boxes[:, :2]).repeat(1, 2)
    near = target.boxes[:, None] + sides[:, None] * torch.empty(len(target), 20, 4).uniform_(-0.2, 0.2)
    corners = torch.rand(40, 2, 2).sort(1).values.flatten(1) * limit
    boxes = torch.cat([near.flatten(0, 1), corners]).minimum(limit).clamp(min=0)
    return boxes[((boxes[:, 2:] - boxes[:, :2]) >= 8).all(1)]
