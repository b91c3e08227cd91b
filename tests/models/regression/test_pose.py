from typing import Any

import pytest
import torch
from tests.models.systems import batch, pictures, system_of

from delineate.metrics import PoseEvaluation
from delineate.models.contract import Inputs
from delineate.models.regression import PoseRegressor, pose_regressor
from delineate.models.regression.pose import PoseRaw
from delineate.values import Detections, Target, truths_of

NAMES = ("centre", "top", "right")


def small(**options: Any) -> PoseRegressor:
    arguments = {"backbone": "resnet10t", "image_size": 96, "width": 32, "hidden": 64}
    return pose_regressor(num_keypoints=3, **{**arguments, **options})


@pytest.mark.parametrize(
    "options",
    [{}, {"joint_loss": "l1"}, {"joint_loss": "l2"}, {"refine": True}],
    ids=["smooth_l1", "l1", "l2", "refine"],
)
def test_overfits_four_pictures(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = small(**options)
    images, targets = pictures(4, (96, 96))
    system = system_of("pose_regressor", model)
    inputs, truths = batch(model, images, targets)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    metrics, farthest = {}, 96.0
    for step in range(400):
        optimizer.zero_grad()
        sum(model.train().loss(inputs, truths).values()).backward()
        optimizer.step()
        if step % 20 == 19:
            evaluation, farthest = PoseEvaluation(NAMES), 0.0
            for result, target in zip(system.infer(list(images)), targets, strict=True):
                assert isinstance(result, Detections)
                evaluation.add(result, target)
                farthest = max(farthest, float((result.keypoints[0] - target.keypoints[0]).norm(dim=1).max()))
            metrics = evaluation.metrics(NAMES)
            if metrics["PCK@0.2"] >= 0.98 and farthest < 4:
                break
    assert metrics["PCK@0.2"] >= 0.98, metrics
    assert farthest < 4  # of 96 pixels: the threshold above is wide, as these have no torso


@pytest.mark.parametrize("kind", ["l1", "l2", "smooth_l1"])
def test_the_loss_is_that_of_annotated_joints_alone(kind: str) -> None:
    model = small(joint_loss=kind, refine=True).eval()
    images = torch.randn(2, 3, 96, 96)
    joints = torch.tensor([[[48.0, 24.0], [0.0, 0.0], [96.0, 0.0]]])
    target = Target(
        image_size=(96, 96),
        boxes=torch.tensor([[0.0, 0.0, 96.0, 96.0]]),
        labels=torch.tensor([0]),
        keypoints=joints,
        visibility=torch.tensor([[2, 0, 1]]),
    )
    losses = model.loss(Inputs(images), truths_of([target, Target(image_size=(96, 96))]))
    assert list(losses) == ["joints", "refined"]
    for stage, name in enumerate(losses):
        distances = (model(images).stages[0, stage, [0, 2]] - joints[0, [0, 2]] / 96).abs()
        each = {
            "l1": distances,
            "l2": distances.square(),
            "smooth_l1": torch.where(distances < 0.02, distances.square() / 0.04, distances - 0.01),
        }[kind]
        torch.testing.assert_close(losses[name], each.sum() / 2)


def test_the_first_stage_does_not_learn_from_the_second() -> None:
    model = small(refine=True)
    images, targets = pictures(1, (96, 96))
    model.loss(*batch(model, images, targets))["refined"].backward()
    assert not any(weight.grad.any() for weight in model.regress.parameters())
    assert model.refine.move.grad.any()


def test_the_second_stage_sees_what_is_around_each_joint() -> None:
    model = small(refine=True).eval()
    levels = model.backbone(torch.zeros(1, 3, 96, 96)).levels
    fine = levels[model.refine.level]
    assert fine.shape[-1] == 96 // 8
    joints = torch.tensor([[[0.25, 0.25], [0.75, 0.75], [0.25, 0.25]]])
    with torch.no_grad():
        model.refine.move[2] = model.refine.move[0]
        before = model.refine(levels, joints)
        changed = [level.clone() for level in levels]
        changed[model.refine.level][..., 8:, 8:] += torch.randn(fine.shape[1], 4, 4)
        after = model.refine(changed, joints)
    torch.testing.assert_close(before[:, 0], before[:, 2])
    torch.testing.assert_close(after[:, 0], before[:, 0])
    assert not torch.allclose(after[:, 1], before[:, 1])


def test_joints_are_in_the_original_picture() -> None:
    raw = PoseRaw(torch.tensor([[[[0.5, 0.25], [1.5, -1.0], [0.0, 1.0]]]]))
    reader, size = small().reader, (96, 96)
    (result,) = reader.results(reader.find(raw, size), size, [(100, 40)])
    assert result.keypoints.tolist() == [[[20, 25], [40, 0], [0, 100]]]
    assert result.boxes.tolist() == [[0, 0, 40, 100]]
    assert result.visibility.tolist() == [[2, 2, 2]]
