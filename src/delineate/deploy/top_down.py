"""The pose of everyone: a detector says where bodies are, a pose regressor what is in the crop of each."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from delineate.data.bodies import cropped, square_around
from delineate.deploy.pictures import Pictures
from delineate.deploy.predictor import Predicted, Predictor
from delineate.models.regression import PoseRegressor
from delineate.system.inference import infer
from delineate.values import Categories, Detections, InputError, Sample, Target, on_cpu


class TopDown:
    """A pose regressor behind a detector; results are the detector's, each with its joints.

    Of the detector's classes those count that the pose regressor was trained on, or all where none has such a name.
    Raises `InputError` where the one is no pose regressor or the other no detector.
    """

    def __init__(self, pose: Predictor, detector: Predictor) -> None:
        if not isinstance(pose.model, PoseRegressor):
            raise InputError("detector: only a pose regressor looks at what another run detects; leave it out")
        if detector.is_dense or not detector.model.finds_many:
            raise InputError("detector: its run does not detect; name one of a system that finds boxes")
        self.pose, self.detector = pose, detector
        names = pose.categories.class_names[0].split(" or ")
        own = detector.categories.class_names
        self.labels = [label for label, name in enumerate(own) if name in names] or list(range(len(own)))
        self.categories = Categories(
            class_names=own,
            keypoint_names=pose.categories.keypoint_names,
            skeleton=pose.categories.skeleton,
        )

    def predict(self, pictures: Pictures, *, min_score: float = 0.0, **options: Any) -> Iterator[Predicted]:
        """Results one by one, as `Predictor.predict` gives them."""
        for found in self.detector.predict(pictures, min_score=min_score, **options):
            assert isinstance(found.prediction, Detections)
            yield found._replace(prediction=self._posed(found.image, found.prediction))

    def _posed(self, image: UInt8[Tensor, "3 h w"], found: Detections) -> Detections:
        rows = torch.isin(found.labels, torch.tensor(self.labels)).nonzero()[:, 0]
        boxes, num_joints = found.boxes[rows], len(self.categories.keypoint_names)
        height, width = found.image_size
        whole = Sample(image=image, target=Target(image_size=found.image_size), file="")
        crops = [cropped(whole, box).image for box in boxes]
        joints = torch.zeros(len(rows), num_joints, 2)
        for row, posed in enumerate(infer(self.pose.model, self.pose.preprocess, crops)):
            left, top, _ = square_around(boxes[row])
            moved = on_cpu(posed)
            assert isinstance(moved, Detections)
            assert moved.keypoints is not None
            joints[row] = moved.keypoints[0] + torch.tensor([left, top])
        return replace(
            found,
            boxes=boxes,
            labels=found.labels[rows],
            scores=found.scores[rows],
            rles=None,
            keypoints=joints.clamp(torch.zeros(2), torch.tensor([width, height]).float()),
            visibility=torch.full((len(rows), num_joints), 2),
        )
