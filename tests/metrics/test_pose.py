import pickle
import re

import pytest
import torch

from delineate.metrics import CocoEvaluation, PoseEvaluation
from delineate.metrics.pose import COCO_SIGMAS, similarity
from delineate.values import Detections, InputError, Target

SIZE = (200, 200)
NAMES = ("left_shoulder", "right_shoulder", "left_hip", "right_hip", "neck", "head_top")
STANDING = [[60.0, 50.0], [100.0, 50.0], [66.0, 110.0], [100.0, 80.0], [80.0, 45.0], [80.0, 25.0]]
"""From the left shoulder to the right hip it is 50 pixels, from the neck to the top of the head 20."""


def body(visibility: list[int], *, box: tuple[float, ...] = (40.0, 20.0, 140.0, 180.0)) -> Target:
    return Target(
        image_size=SIZE,
        boxes=torch.tensor([box]),
        labels=torch.tensor([0]),
        keypoints=torch.tensor([STANDING]),
        visibility=torch.tensor([visibility]),
    )


def said(shifts: list[float]) -> Detections:
    joints = torch.tensor([STANDING])
    joints[0, :, 0] += torch.tensor(shifts)
    return Detections(
        image_size=SIZE,
        boxes=torch.tensor([[0.0, 0.0, 200.0, 200.0]]),
        labels=torch.tensor([0]),
        scores=torch.tensor([1.0]),
        keypoints=joints,
        visibility=torch.full((1, len(NAMES)), 2),
    )


def test_a_joint_is_right_within_a_fifth_of_the_torso() -> None:
    evaluation = PoseEvaluation(NAMES)
    evaluation.add(said([0.0, 10.0, 10.1, -9.0, 30.0, 10.1]), body([2, 2, 2, 2, 2, 1]))
    metrics = evaluation.metrics(NAMES)
    assert metrics["PCK@0.2"] == pytest.approx(3 / 6)
    assert metrics["PCKh@0.5"] == pytest.approx(3 / 6)
    assert [metrics[f"PCK@0.2/{name}"] for name in NAMES] == [1, 1, 0, 1, 0, 0]
    assert next(iter(metrics)) == "PCK@0.2"


def test_joints_that_are_not_annotated_do_not_count() -> None:
    evaluation = PoseEvaluation(NAMES)
    evaluation.add(said([0.0, 90.0, 90.0, 0.0, 0.0, 90.0]), body([2, 0, 0, 2, 1, 0]))
    metrics = evaluation.metrics(NAMES)
    assert metrics["PCK@0.2"] == 1
    assert metrics["OKS"] == pytest.approx(1)
    assert "PCK@0.2/left_hip" not in metrics
    assert "PCKh@0.5" not in metrics  # no head is annotated


def test_the_other_diagonal_is_the_torso_where_the_first_is_not_annotated() -> None:
    evaluation = PoseEvaluation(NAMES)
    evaluation.add(said([0.0, 0.0, 13.0, 0.0, 14.0, 0.0]), body([0, 2, 2, 2, 2, 2]))
    across = ((100 - 66) ** 2 + (50 - 110) ** 2) ** 0.5
    assert 13 < 0.2 * across < 14
    assert evaluation.metrics(NAMES)["PCK@0.2"] == pytest.approx(4 / 5)


def test_a_body_without_a_torso_is_left_out_where_others_have_one() -> None:
    evaluation = PoseEvaluation(NAMES)
    evaluation.add(said([90.0] * 6), body([0, 0, 2, 2, 2, 2]), 0)
    assert evaluation.metrics(NAMES)["PCK@0.2"] == 0  # by the box: 90 pixels are more than a fifth of 160
    evaluation.add(said([0.0] * 6), body([2] * 6), 1)
    assert evaluation.metrics(NAMES)["PCK@0.2"] == 1
    with pytest.raises(InputError, match="no body has an annotated joint"):
        PoseEvaluation(NAMES).metrics(NAMES)


def test_a_skeleton_without_shoulders_and_hips_is_measured_by_the_box() -> None:
    names = ("a", "b", "c", "d", "e", "f")
    evaluation = PoseEvaluation(names)
    evaluation.add(said([0.0, 31.0, 33.0, 0.0, 0.0, 0.0]), body([2] * 6))
    metrics = evaluation.metrics(names)
    assert metrics["PCK@0.2"] == pytest.approx(5 / 6)  # a fifth of 160 pixels
    assert "PCKh@0.5" not in metrics


def test_the_similarity_is_that_of_cocos_evaluation() -> None:
    """COCO gives its AP alone: at thresholds on both sides of the similarity the body is found and not found."""
    torch.manual_seed(0)
    joints, shifts = 100 * torch.rand(1, 17, 2) + 40, 4 * torch.randn(1, 17, 2)
    box = torch.tensor([[30.0, 30.0, 160.0, 170.0]])
    visibility = torch.randint(0, 3, (1, 17))
    oks = float(similarity((shifts**2).sum(2).sqrt().double(), visibility > 0, box)[0])
    target = Target(image_size=SIZE, boxes=box, labels=torch.tensor([0]), keypoints=joints, visibility=visibility)
    found = Detections(
        image_size=SIZE,
        boxes=box,
        labels=torch.tensor([0]),
        scores=torch.tensor([1.0]),
        keypoints=joints + shifts,
        visibility=torch.full((1, 17), 2),
    )
    evaluation = CocoEvaluation()
    evaluation.add(found, target)
    reached = sum(oks >= 0.5 + 0.05 * step for step in range(10)) / 10
    assert 0.1 <= reached <= 0.9
    assert evaluation.metrics(["person"])["keypoint_AP"] == pytest.approx(reached, abs=1e-6)
    assert len(COCO_SIGMAS) == 17


def test_those_of_several_processes_are_merged() -> None:
    whole, first, second = (PoseEvaluation(NAMES) for _ in range(3))
    for number, part in enumerate((first, second, first)):
        pair = said([3.0 * number] * 6), body([2] * 6)
        part.add(*pair, number)
        whole.add(*pair, number)
    first.merge(pickle.loads(pickle.dumps(second)))
    assert first.metrics(NAMES) == whole.metrics(NAMES)
    assert re.fullmatch(r"0\.\d+", str(round(first.metrics(NAMES)["OKS"], 6)))
