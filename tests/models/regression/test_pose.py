from typing import Any

import pytest
import torch
from tests.models.systems import batch, pictures, system_of
from torch import Tensor, nn

from delineate.metrics import PoseEvaluation
from delineate.models.contract import Inputs
from delineate.models.regression import PoseRegressor, pose_regressor
from delineate.models.regression.pose import PoseRaw, diameter
from delineate.values import Detections, InputError, Target, truths_of

NAMES = ("centre", "top", "right")


def small(**options: Any) -> PoseRegressor:
    arguments = {"backbone": "resnet10t", "image_size": 96, "width": 32, "hidden": 64}
    return pose_regressor(num_keypoints=3, **{**arguments, **options})


def test_it_has_three_stages_that_drop_half_of_what_they_hide() -> None:
    model = pose_regressor(num_keypoints=3)
    dropped = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert len(model.refinements) == 2
    assert set(dropped) == {0.5}
    assert len(dropped) >= 3


@pytest.mark.parametrize(
    "options",
    [{"stages": 1}, {"joint_loss": "l1", "stages": 1, "dropout": 0.0}, {"joint_loss": "l2", "dropout": 0.0}, {}],
    ids=["one stage", "l1", "l2", "three stages"],
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


def posed(joints: list[list[float]], visibility: list[int]) -> Target:
    """A crop of 96 x 96 with a body of these joints."""
    return Target(
        image_size=(96, 96),
        boxes=torch.tensor([[0.0, 0.0, 96.0, 96.0]]),
        labels=torch.tensor([0]),
        keypoints=torch.tensor([joints]),
        visibility=torch.tensor([visibility]),
    )


def formula(kind: str, distances: Tensor) -> Tensor:
    return {
        "l1": distances,
        "l2": distances.square(),
        "smooth_l1": torch.where(distances < 0.02, distances.square() / 0.04, distances - 0.01),
    }[kind].sum()


@pytest.mark.parametrize("kind", ["l1", "l2", "smooth_l1"])
def test_the_loss_is_that_of_annotated_joints_alone(kind: str) -> None:
    model = small(joint_loss=kind, stages=2).eval()
    images = torch.randn(2, 3, 96, 96)
    target = posed([[48.0, 24.0], [0.0, 0.0], [96.0, 0.0]], [2, 0, 1])
    torch.manual_seed(0)
    losses = model.loss(Inputs(images), truths_of([target, Target(image_size=(96, 96))]))
    assert list(losses) == ["joints", "refined_2"]
    first = model(images).stages[0, 0]
    expected = formula(kind, (first[[0, 2]] - torch.tensor([[0.5, 0.25], [1.0, 0.0]])).abs()) / 2
    torch.testing.assert_close(losses["joints"], expected)
    torch.manual_seed(0)
    (refine,) = model.refinements
    displaced = refine.simulated(2)
    pose = torch.stack([torch.tensor([0.5, 0.25]), first[1], torch.tensor([1.0, 0.0])])[None]
    side = 0.5 * (pose[0].amax(0) - pose[0].amin(0)).norm().view(1, 1, 1)
    moved = refine(model.backbone(images[:1]).levels, pose + side * displaced[:1], side)
    expected = formula(kind, (moved + displaced[:1])[0, [0, 2]].abs()) / 2
    torch.testing.assert_close(losses["refined_2"], expected)


def test_the_first_stage_does_not_learn_from_later_ones() -> None:
    model = small(stages=3)
    images, targets = pictures(1, (96, 96))
    losses = model.loss(*batch(model, images, targets))
    (losses["refined_2"] + losses["refined_3"]).backward()
    assert all(weight.grad is None for weight in model.regress.parameters())
    assert all(refine.move.grad.any() for refine in model.refinements)


def test_later_stages_learn_the_errors_of_the_stage_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delineate.models.regression.pose.KEPT", 0.97)
    torch.manual_seed(0)
    model = small(stages=3, dropout=0.0, image_size=64)
    inputs, truths = batch(model, *pictures(4, (64, 64)))
    places = torch.stack([truth.keypoints[0] / 64 for truth in truths])
    first, second = model.refinements
    with torch.no_grad():
        for _ in range(200):
            model.loss(inputs, truths)
        joints = model.regress(model.flatten(model.backbone(inputs.images).levels[-1])).view(4, 3, 2)
    errors = (joints - places) / (0.5 * diameter(places))
    torch.testing.assert_close(first.mean, errors.mean(0), atol=0.02, rtol=0.05)
    torch.testing.assert_close(first.variance, errors.var(0, unbiased=False), atol=0.02, rtol=0.1)
    # nothing was learned: what the first of them leaves are about the errors that it was given, within its window
    drawn = torch.stack([first.simulated(1)[0] for _ in range(500)])
    torch.testing.assert_close(second.variance, drawn.var(0), atol=0.03, rtol=0.5)
    torch.testing.assert_close(diameter(2 * places), 2 * diameter(places))


def test_unannotated_joints_say_nothing_of_errors() -> None:
    refine = small(stages=2).refinements[0]
    before = refine.mean.clone(), refine.variance.clone()
    refine.observe(torch.ones(2, 3, 2), torch.tensor([[True, False, False], [False, False, False]]))
    assert (refine.mean[0] > 0).all()
    assert torch.equal(refine.mean[1:], before[0][1:])
    assert torch.equal(refine.variance[1:], before[1][1:])


def test_a_later_stage_sees_what_is_around_each_joint() -> None:
    model = small(stages=2).eval()
    levels = model.backbone(torch.zeros(1, 3, 96, 96)).levels
    refine = model.refinements[0]
    fine = levels[refine.level]
    assert fine.shape[-1] == 96 // 8
    joints, side = torch.tensor([[[0.25, 0.25], [0.75, 0.75], [0.25, 0.25]]]), torch.full((1, 1, 1), 0.25)
    with torch.no_grad():
        refine.move[2] = refine.move[0]
        before = refine(levels, joints, side)
        changed = [level.clone() for level in levels]
        changed[refine.level][..., 8:, 8:] += torch.randn(fine.shape[1], 4, 4)
        after = refine(changed, joints, side)
    torch.testing.assert_close(before[:, 0], before[:, 2])
    torch.testing.assert_close(after[:, 0], before[:, 0])
    assert not torch.allclose(after[:, 1], before[:, 1])


@pytest.mark.parametrize("options", [{"stages": 0}, {"dropout": 1.0}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"^{next(iter(options))}: "):
        small(**options)


def test_joints_are_in_the_original_picture() -> None:
    raw = PoseRaw(torch.tensor([[[[0.5, 0.25], [1.5, -1.0], [0.0, 1.0]]]]))
    reader, size = small().reader, (96, 96)
    (result,) = reader.results(reader.find(raw, size), size, [(100, 40)])
    assert result.keypoints.tolist() == [[[20, 25], [40, 0], [0, 100]]]
    assert result.boxes.tolist() == [[0, 0, 40, 100]]
    assert result.visibility.tolist() == [[2, 2, 2]]
