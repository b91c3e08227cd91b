"""Pose of one body: how many joints are near enough, and how near all of them are."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from delineate.metrics.coco_figures import CUSTOM_SIGMA
from delineate.values import Detections, InputError, Target

TORSO, OTHER_TORSO, HEAD = ("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"), ("head_top", "neck")
COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
"""These are COCO's, of its 17 keypoints."""
POSE_PROTOCOL = (
    "of annotated joints, each body in its own crop: PCK@0.2 is the share that are nearer to the truth than 0.2 of the "
    "torso (left shoulder to right hip, or right to left where these are not annotated; bodies with neither are left "
    "out), or of the box's longer side where no body has such joints; PCKh@0.5 is the same with half of the head "
    "(top to neck); OKS is COCO's similarity by the area of the box, its mean over bodies, with COCO's sigmas for 17 "
    f"joints, else {CUSTOM_SIGMA} (their mean) for each"
)


class PoseEvaluation:
    """The evaluation gathers bodies; what other processes gathered can be merged into it."""

    def __init__(self, keypoint_names: Sequence[str]) -> None:
        self.names = tuple(keypoint_names)
        self._rows: list[tuple[int, Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, detections: Detections, target: Target, number: int = 0) -> None:
        """Take one body, the largest annotated one of its picture, which has the place `number` in the data set."""
        if target.keypoints is None or target.visibility is None:
            return
        body = target[(target.visibility > 0).any(1)].largest()
        if not len(body):
            return
        assert body.keypoints is not None
        assert body.visibility is not None
        assert detections.keypoints is not None
        values = (detections.keypoints[0], body.keypoints[0], body.visibility[0] > 0, body.boxes[0])
        predicted, truth, known, box = (value.detach().cpu().clone() for value in values)
        self._rows.append((number, predicted, truth, known, box))

    def merge(self, other: "PoseEvaluation") -> None:
        """Take all bodies of another evaluation."""
        self._rows += other._rows

    def metrics(self, names: Sequence[str]) -> dict[str, float]:
        """Compute `PCK@0.2`, `PCKh@0.5` where there is a head, `OKS`, and `PCK@0.2/NAME` of each joint; in 0..1.

        Yang & Ramanan 2013, "Articulated human detection with flexible mixtures of parts", section 7.1; Andriluka et
        al. 2014, "2D human pose estimation: new benchmark", for the head. Raises `InputError` where no body has an
        annotated joint that counts.
        """
        if not self._rows:
            raise InputError("keypoints: no body has an annotated joint; nothing can be measured")
        rows = sorted(self._rows, key=lambda row: row[0])
        _, *columns = zip(*rows, strict=True)
        predicted, truth, known, boxes = (torch.stack(column) for column in columns)
        distances = (predicted - truth).norm(dim=2).double()
        torso = self._length(truth, known, TORSO)
        other = self._length(truth, known, OTHER_TORSO)
        if torso is not None and other is not None:
            torso = torso.where(torso > 0, other)
        if torso is None or not (torso > 0).any():
            torso = (boxes[:, 2:] - boxes[:, :2]).amax(1).double()
        near, counted = distances <= 0.2 * torso[:, None], known & (torso > 0)[:, None]
        metrics = {"PCK@0.2": _share(near, counted)}
        head = self._length(truth, known, HEAD)
        if head is not None and (head > 0).any():
            metrics["PCKh@0.5"] = _share(distances <= 0.5 * head[:, None], known & (head > 0)[:, None])
        metrics["OKS"] = float(similarity(distances, known, boxes).mean())
        for column, name in enumerate(names):
            if counted[:, column].any():
                metrics[f"PCK@0.2/{name}"] = _share(near[:, column], counted[:, column])
        return metrics

    def confusion(self, num_classes: int) -> None:
        """Bodies are not told apart."""

    def _length(self, truth: Tensor, known: Tensor, ends: tuple[str, str]) -> Float[Tensor, " n"] | None:
        """Measure how far two joints of a body are apart, 0 where not both are known; `None` without such joints."""
        if not set(ends) <= set(self.names):
            return None
        first, second = (self.names.index(name) for name in ends)
        lengths: Tensor = (truth[:, first] - truth[:, second]).norm(dim=1).double()
        return lengths * (known[:, first] & known[:, second])


def similarity(
    distances: Float[Tensor, "n k"], known: Bool[Tensor, "n k"], boxes: Float[Tensor, "n 4"]
) -> Float[Tensor, " n"]:
    """Compute COCO's object keypoint similarity of each body, over its annotated joints."""
    num_joints = distances.shape[1]
    sigmas = torch.tensor(COCO_SIGMAS if num_joints == 17 else (CUSTOM_SIGMA,) * num_joints, dtype=torch.float64)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1).double()
    near = torch.exp(-(distances**2) / (2 * areas[:, None] * (2 * sigmas) ** 2))
    return (near * known).sum(1) / known.sum(1)


def _share(near: Tensor, counted: Tensor) -> float:
    return float(near[counted].double().mean())
