"""What every two-stage system must do, beside what all systems must (`../test_contract.py`)."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.models.systems import CATEGORIES, TWO_STAGE, batch, pictures, system_of, tiny
from torch import Tensor

from delineate.metrics import CocoEvaluation
from delineate.models.two_stage import TwoStageDetector
from delineate.models.two_stage.proposers import SelectiveSearch
from delineate.system.system import System
from delineate.values import Detections, Target

ENOUGH = {"AP50": 0.95, "AP75": 0.7, "mask_AP50": 0.9, "keypoint_AP": 0.9}


@pytest.fixture(params=TWO_STAGE)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def decided(name: str) -> System:
    """A fresh system that says something: its scores are far apart, and their order is no chance of rounding."""
    model = tiny(name)
    assert isinstance(model, TwoStageDetector)
    with torch.no_grad():
        model.box_head.classify.weight *= 40
        model.box_head.regress.weight *= 40
    return system_of(name, model.eval())


def test_results_are_whole(name: str) -> None:
    system = decided(name)
    results = system.read(system.inputs(pictures(2)[0]), [(40, 33), (100, 120)])
    for result in results:
        assert len(result) > 0
        assert result.labels.max() < 2
        assert (result.masks is None) == ("masks" not in system.task.needs)
        assert (result.keypoints is None) == ("keypoints" not in system.task.needs)
        if result.masks is not None:
            assert result.masks.shape == (len(result), *result.image_size)
        if result.keypoints is not None:
            assert result.keypoints.shape == (len(result), 3, 2)
            assert torch.equal(result.visibility > 0, (result.labels == 0)[:, None].expand(-1, 3))


def test_a_prediction_never_depends_on_its_batch_mates(name: str) -> None:
    system = decided(name)
    small, large = pictures(2)[0], pictures(2, (80, 120))[0]
    images = [small[0], large[0], small[1], large[1]]
    together = system.infer(images)
    for image, result in zip(images, together, strict=True):
        (alone,) = system.infer([image])
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


def test_overfits_four_pictures(name: str, tmp_path: Path) -> None:
    """R-CNN by its own SVMs and its regression of boxes, in the place of what its gradients learned."""
    system = system_of(name)
    model = system.model
    assert isinstance(model, TwoStageDetector)
    images, targets = pictures(4, (96, 128))
    if isinstance(model.search, SelectiveSearch):
        targets = [replace(target, proposals=near_and_far(target)) for target in targets]
    inputs, truths = batch(model, images, targets)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0)
    metrics: dict[str, float] = {}
    for step in range(300):
        optimizer.zero_grad()
        sum(model.train().loss(inputs, truths).values()).backward()
        optimizer.step()
        if step % 20 == 19:
            metrics = measured(system, images, targets)
            if reached(metrics) or (model.fits and metrics["AP50"] >= ENOUGH["AP50"]):
                break
    if model.fits:
        model.eval().fit([(inputs, truths)], tmp_path, lambda line: None)
        assert model.box_head.one_vs_rest
        metrics = measured(system, images, targets)
    assert reached(metrics), metrics


def measured(system: System, images: Tensor, targets: list[Target]) -> dict[str, float]:
    evaluation = CocoEvaluation()
    proposals = None if targets[0].proposals is None else [target.proposals for target in targets]
    prepared = system.together(list(images), [target.image_size for target in targets], proposals)
    for result, target in zip(system.infer_prepared(prepared), targets, strict=True):
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
