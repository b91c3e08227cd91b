"""Commands that take objects from operating points say so."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from delineate.cli.output import say
from delineate.values.thresholds import MIN_SCORE

if TYPE_CHECKING:
    from delineate.system.system import System


FoundBy = Mapping[str, bool | int | float]
NONE: FoundBy = MappingProxyType({})


def found_by(limits: Mapping[str, float | None], tile: int | None, overlap: int) -> FoundBy:
    """Give the options by which objects are found where it is not the system's own way."""
    given = {**limits, "tile": tile, "overlap": overlap if tile else None}
    return {name: value for name, value in given.items() if value is not None}


def usual_score(system: "System", run: Path, weights: str, options: FoundBy, *, track: bool = False) -> float | None:
    """Give the score from which on objects are taken where the user says none, and say so where it was calibrated.

    It is `None` where each class has its own, and where there are no scores; with `track`, that of all classes.
    """
    for line in taken_from(system, run, weights, options):
        say(line)
    points = system.operating_points
    if points is None:
        return MIN_SCORE if system.task.finds_many else None
    return points.all_classes.score.value if track else None


def points_of(system: "System") -> dict[str, float] | None:
    """Give the score of each class from which on its objects are taken, where that was calibrated."""
    points = system.operating_points
    return None if points is None else {name: point.score.value for name, point in points.classes.items()}


def taken_from(
    system: "System", run: Path, weights: str = "best", options: FoundBy = NONE, *, override: str = "--min-score"
) -> list[str]:
    """Say by which scores objects are taken, or that those that were calibrated are of other weights; in no line else.

    It is said, too, where they were calibrated on what is found by other `options`, and what may `override` them. A
    system with a threshold that was given has none.
    """
    from delineate.artefact import is_export
    from delineate.io.runs import RECORD, find_checkpoint
    from delineate.system.operating import points_file

    points = system.operating_points
    if points is not None:
        other = points.otherwise(options)
        return [f"{points.line}; {override} overrides", *([] if other is None else [other])]
    file = points_file(run / RECORD if is_export(run) else find_checkpoint(run, weights))
    if not system.task.finds_many or not file.is_file():
        return []
    return [f"{file}: it is of other weights, and not used; `delineate calibrate {run}` makes it anew"]
