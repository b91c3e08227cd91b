"""Commands that take objects from operating points say so."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from delineate.values.thresholds import MIN_SCORE

if TYPE_CHECKING:
    from delineate.system.system import System

FoundBy = Mapping[str, bool | int | float]
NONE: FoundBy = MappingProxyType({})


def found_by(limits: Mapping[str, float | None], tile: int | None, overlap: int) -> FoundBy:
    """Give the options by which objects are found, but for those that were not given: `None`, and flags."""
    given = {**limits, "tile": tile, "overlap": overlap if tile else None}
    return {name: value for name, value in given.items() if value is not None and value is not False}


def usual_score(system: "System", *, track: bool = False) -> float | None:
    """Give the score from which on objects are taken where the user says none.

    It is `None` where each class has its own, and where there are no scores; with `track`, that of all classes.
    """
    points = system.operating_points
    if points is None:
        return MIN_SCORE if system.task.finds_many else None
    return points.all_classes.score.value if track else None


def points_of(system: "System") -> dict[str, float] | None:
    """Give the score of each class from which on its objects are taken, where that was calibrated."""
    points = system.operating_points
    return None if points is None else {name: point.score.value for name, point in points.classes.items()}


def taken_from(
    run: Path, weights: str = "best", options: FoundBy = NONE, *, override: str = "--min-score"
) -> list[str]:
    """Say by which scores a run's objects are taken, and what may `override` them, where they were calibrated.

    It is said, too, that they were on what is found by other `options`, or of other weights, and are not used then.
    """
    from delineate.system.operating import points_file, read_points

    file = known_by(run, weights)
    points = read_points(file)
    if points is not None:
        other = points.otherwise(options)
        return [f"{points.line}; {override} overrides", *([] if other is None else [other])]
    if not points_file(file).is_file():
        return []
    return [f"{points_file(file)}: it is of other weights, and not used; `delineate calibrate {run}` makes it anew"]


def known_by(run: Path, weights: str = "best") -> Path:
    """Name the file by which a run is known: its weights, or the record of an export."""
    from delineate.artefact import is_export
    from delineate.io.runs import RECORD, find_checkpoint

    return run / RECORD if is_export(run) else find_checkpoint(run, weights)
