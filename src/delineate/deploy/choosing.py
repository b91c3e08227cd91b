"""Of what a system finds, those objects are given that score enough: so much as is said, or as was calibrated."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from delineate.system.operating import OperatingPoints
from delineate.system.system import System
from delineate.values import Categories, InputError, LabelMap, Prediction

Score = float | Mapping[str, float]
"""It is one for all classes, or one for each by its name."""
Take = Callable[[Prediction], Prediction]


def choosing(
    system: System, *, min_score: Score | None = None, calibrate_scores: bool = False, **thresholds: Any
) -> tuple[System, Take]:
    """Give the system with thresholds by which it finds no more than is taken, and what takes it of its results.

    Without `min_score` objects are taken from the system's operating points on, where it has some; a class that
    `min_score` does not name has the score that it has without. With `calibrate_scores` scores become the share of such
    detections that is right, and `min_score` is a share. Raises `InputError` where a system has no scores, or none that
    were calibrated, and for a class that it does not know.
    """
    points, names = system.operating_points, system.categories.class_names
    system = system.with_thresholds(**thresholds)
    if calibrate_scores:
        if points is None:
            raise InputError("calibrate_scores: what scores mean was not measured; `delineate calibrate RUN` does that")
        calibrated = partial(_meant, points, system.categories)
        if min_score is None:
            least = points.least(system.categories)
            return system, lambda found: calibrated(_above(found, least))
        shares = torch.tensor(_by_class(names, min_score, dict.fromkeys(names, 0.0)))
        return system, lambda found: _above(calibrated(found), shares)
    if min_score is None and points is None:
        return system, lambda found: found
    if isinstance(min_score, float | int):
        return system.with_thresholds(score=_just_below(min_score)), lambda found: found
    saved = system.reader.thresholds
    lowest = 0.0 if saved is None else saved.score
    own = dict.fromkeys(names, lowest) if points is None else {n: p.score.value for n, p in points.classes.items()}
    scores = _by_class(names, min_score or {}, own)
    taken = torch.tensor(scores)
    floor = None if saved is not None and min(scores) == lowest else _just_below(min(scores))
    return system.with_thresholds(score=floor), lambda found: _above(found, taken)


def _by_class(names: tuple[str, ...], score: Score, own: Mapping[str, float]) -> list[float]:
    if isinstance(score, float | int):
        return [float(score)] * len(names)
    if unknown := [name for name in score if name not in names]:
        raise InputError(f"min_score: there is no class '{unknown[0]}'; there are {', '.join(names)}")
    return [float(score.get(name, own[name])) for name in names]


def _above(found: Prediction, least: torch.Tensor | None) -> Prediction:
    return found if least is None or isinstance(found, LabelMap) else found.above(least)


def _meant(points: OperatingPoints, categories: Categories, found: Prediction) -> Prediction:
    return found if isinstance(found, LabelMap) else points.meant(found, categories)


def _just_below(score: float) -> float:
    """Lower a score by the least that float32 can tell: scores are above a threshold, and `min_score` is included."""
    return float(torch.nextafter(torch.tensor(score, dtype=torch.float32), torch.tensor(0.0)))
