"""A detector says where bodies are, and a pose regressor the pose in the crop of each."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Unpack

import torch
from jaxtyping import UInt8
from torch import Tensor

from delineate.data.bodies import cropped, square_around
from delineate.deploy.pictures import Pictures
from delineate.deploy.predictor import Predicted, PredictOptions, Predictor
from delineate.deploy.video import PredictedFrame, Video, VideoSource, open_video, predicted_frames
from delineate.values import Categories, Detections, InputError, Sample, Target, on_cpu


class TopDown:
    """A pose regressor stands behind a detector; results are the detector's, each with joints.

    Of the detector's classes those count that the pose regressor was trained on, or all where none has such a name.
    Raises `InputError` where the one is no pose regressor or the other no detector.
    """

    def __init__(self, pose: Predictor, detector: Predictor) -> None:
        if not pose.system.task.crops:
            raise InputError("detector: only a pose regressor looks at what another run detects; leave it out")
        if not detector.system.task.finds_many:
            raise InputError("detector: its run does not detect; name one of a system that finds boxes")
        self.pose, self.detector = pose, detector
        names = pose.categories.class_names[0].split(" or ")
        classes = detector.categories.class_names
        self.labels = [label for label, name in enumerate(classes) if name in names] or list(range(len(classes)))
        self.categories = Categories(
            class_names=classes,
            keypoint_names=pose.categories.keypoint_names,
            skeleton=pose.categories.skeleton,
        )

    def predict(self, pictures: Pictures, **options: Unpack[PredictOptions]) -> Iterator[Predicted]:
        """Give results one by one, as `Predictor.predict` of the detector does."""
        for predicted in self.detector.predict(pictures, **options):
            assert isinstance(predicted.prediction, Detections)
            yield predicted._replace(prediction=self._posed(predicted.image, predicted.prediction))

    def predict_video(
        self, video: VideoSource | Video, *, track: bool = False, **options: Unpack[PredictOptions]
    ) -> Iterator[PredictedFrame]:
        """Give the results of the frames of a video one by one, as `Predictor.predict_video` does."""
        with video if isinstance(video, Video) else open_video(video) as opened:
            yield from predicted_frames(opened, self.predict, self.detector.system.task, track=track, **options)

    def _posed(self, image: UInt8[Tensor, "3 h w"], detections: Detections) -> Detections:
        rows = torch.isin(detections.labels, torch.tensor(self.labels)).nonzero()[:, 0]
        boxes, num_joints = detections.boxes[rows], len(self.categories.keypoint_names)
        height, width = detections.image_size
        if detections.image_size != (image.shape[-2], image.shape[-1]):
            raise InputError("tile: bodies are posed in their own pixels, and a picture read by regions is shrunk")
        whole = Sample(image=image, target=Target(image_size=detections.image_size), file="")
        crops = [cropped(whole, box).image for box in boxes]
        joints = torch.zeros(len(rows), num_joints, 2)
        for row, result in enumerate(self.pose.system.infer(crops)):
            left, top, _ = square_around(boxes[row])
            pose = on_cpu(result)
            assert isinstance(pose, Detections)
            assert pose.keypoints is not None
            joints[row] = pose.keypoints[0] + torch.tensor([left, top])
        return replace(
            detections,
            boxes=boxes,
            labels=detections.labels[rows],
            scores=detections.scores[rows],
            rles=None,
            keypoints=joints.clamp(torch.zeros(2), torch.tensor([width, height]).float()),
            visibility=torch.full((len(rows), num_joints), 2),
        )
