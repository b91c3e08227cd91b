"""Operating points are drawn: a panel for each class, and one of what scores mean."""

from collections.abc import Sequence
from pathlib import Path

from delineate.system.operating import Estimate, OperatingPoints
from delineate.viz.operating import Choice, plot_operating_points


def draw_points(points: OperatingPoints, path: Path) -> None:
    """Write a PNG or SVG file of the operating points."""
    choices = {
        name: Choice(
            scores=point.curve.scores,
            precision=_band(point.curve.precision),
            recall=_band(point.curve.recall),
            chosen=_band([point.score])[0],
            num_objects=point.num_objects,
        )
        for name, point in points.classes.items()
    }
    means = points.reliability_of_all
    plot_operating_points(choices, (means.scores, means.shares), means.bins, path)


def _band(estimates: Sequence[Estimate]) -> list[tuple[float, float, float]]:
    return [(one.value, one.low, one.high) for one in estimates]
