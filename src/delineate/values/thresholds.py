"""Thresholds decide which of many scored boxes are detections."""

from dataclasses import dataclass, replace
from typing import Any

from delineate.values.errors import InputError

MOST = 100_000
"""Rows are made for as many boxes as may come, whether they do or not."""
MIN_SCORE = 0.5
"""From this score on objects are taken where nothing was calibrated and nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """A box is a detection of a class where its score is above `score` and no better one of the class overlaps it more.

    `nms_iou` is that overlap (IoU), 1 for no suppression; `class_agnostic`, a better one of any class suppresses it. Of
    each class the best `max_candidates` boxes of a picture go through NMS (`None`: all), and `max_detections` of the
    picture come out. Raises `InputError` for a value out of range.
    """

    score: float = 0.05
    nms_iou: float = 0.5
    max_candidates: int | None = None
    max_detections: int = 100
    class_agnostic: bool = False

    def __post_init__(self) -> None:
        for name in ("score", "nms_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: {getattr(self, name)} is outside 0..1")
        for name in ("max_candidates", "max_detections"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST:
                raise InputError(f"{name}: {value} is outside 1..{MOST}")

    def holding(self, most: int) -> "Thresholds":
        """Let `most` detections of a picture come out, of as many times more candidates, where it would be fewer."""
        if most <= self.max_detections:
            return self
        candidates = self.max_candidates
        if candidates is not None:
            candidates = min(MOST, -(-candidates * most // self.max_detections))
        return replace(self, max_detections=most, max_candidates=candidates)

    def changed(self, **given: Any) -> "Thresholds":
        """Change some values; those that are `None` are left as they are."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})
