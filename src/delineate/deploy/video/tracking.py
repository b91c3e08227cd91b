"""Objects keep their identity from frame to frame, by ByteTrack of the library `trackers`."""

from dataclasses import replace

import numpy as np
import torch

from delineate.values import Detections, InputError

UNNAMED = -1
"""The identity of an object that was not seen for long enough to have one."""
LEAST_SCORE = 0.1
"""An object that is followed may score as little (Zhang et al. 2022, ByteTrack, section 3)."""
FAR = 4
"""Classes lie so many pictures apart for the library, which does not look at them."""


class Tracker:
    """A tracker takes the detections of frame after frame, and gives them with identities (`Detections.tracks`).

    What scores `min_score` or more begins an identity with its second frame; what scores less goes on with one, or is
    left out (Zhang et al. 2022, "ByteTrack: multi-object tracking by associating every detection box"). An identity is
    kept for a second in which its object is not seen, and is of one class; `rate` is frames a second.

    Raises `InputError` without the library.
    """

    def __init__(self, rate: float, min_score: float) -> None:
        try:
            from trackers import ByteTrackTracker
        except ImportError:
            raise InputError("track: a library is missing; pip install 'delineate[video]'") from None
        self.min_score = min_score
        self._tracker = ByteTrackTracker(
            frame_rate=rate, track_activation_threshold=min_score, high_conf_det_threshold=min_score
        )

    def __call__(self, detections: Detections) -> Detections:
        """Follow the objects into the next frame."""
        import supervision

        apart = FAR * max(detections.image_size) * detections.labels[:, None]  # so that no two classes meet
        found = supervision.Detections(
            xyxy=(detections.boxes + apart).numpy(),
            confidence=detections.scores.numpy(),
            data={"row": np.arange(len(detections))},
        )
        followed = self._tracker.update(found)
        tracks = torch.full((len(detections),), UNNAMED)
        if len(followed):
            tracks[torch.as_tensor(followed.data["row"])] = torch.as_tensor(followed.tracker_id).long()
        kept = (tracks != UNNAMED) | (detections.scores >= self.min_score)
        return replace(detections, tracks=tracks)[kept]
