"""Frames go through a predictor in the order of the video."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from delineate.deploy.choosing import Score
from delineate.deploy.video.reading import Frame, Video
from delineate.deploy.video.tracking import LEAST_SCORE, Tracker
from delineate.values import Detections, InputError, Prediction, Task

USUAL_SCORE = 0.5
"""What scores as much begins an identity, where nothing else is said."""


Predict = Callable[..., Iterator[tuple[str, Tensor, Prediction]]]
"""Takes pictures and options, and gives each with its result, as `Predictor.predict` does."""


class PredictedFrame(NamedTuple):
    """A result comes with its frame: its number from 0, the seconds from the first one, and its pixels."""

    number: int
    seconds: float
    image: UInt8[Tensor, "3 h w"]
    prediction: Prediction


def predicted_frames(
    video: Video,
    predict: Predict,
    task: Task,
    *,
    track: bool = False,
    min_score: Score | None = None,
    unreadable: Callable[[InputError], None] | None = None,
    **options: Any,
) -> Iterator[PredictedFrame]:
    """Give the results of a video's frames one by one, as `Predictor.predict_video` does."""
    tracker = _tracker(video, task, min_score) if track else None
    lowest: Score | None = min_score if tracker is None else min(LEAST_SCORE, tracker.min_score)
    waiting: deque[Frame] = deque()

    def images() -> Iterator[Tensor]:
        with closing(video.frames()) as frames:
            for frame in frames:
                waiting.append(frame)
                yield frame.image

    for _, _, prediction in predict(images(), min_score=lowest, **options):
        frame = waiting.popleft()
        if tracker is not None:
            assert isinstance(prediction, Detections)
            prediction = tracker(prediction)
        yield PredictedFrame(frame.number, frame.seconds, frame.image, prediction)
    if video.lost is not None:
        if unreadable is None:
            raise video.lost
        unreadable(video.lost)


def _tracker(video: Video, task: Task, min_score: Score | None) -> Tracker:
    if not task.finds_many:
        raise InputError(f"track: identities are those of many objects, and this system finds {task.finds}")
    if isinstance(min_score, Mapping):
        raise InputError("min_score: identities begin by one score for all classes; give one number with track")
    return Tracker(video.rate, USUAL_SCORE if min_score is None else min_score)
