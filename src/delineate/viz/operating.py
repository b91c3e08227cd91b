"""Figures show from which score on objects are taken, how sure that is, and what scores mean."""

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from delineate.viz.curves import INK, dress, save_figure, style
from delineate.viz.palette import palette
from delineate.viz.scripts import legible

Band = Sequence[tuple[float, float, float]]
"""Values, each with the lowest and the highest that it could well be."""
Bins = Sequence[tuple[float, float, int]]
MOST = 8
"""So many classes have a panel, those with most objects."""


class Choice(NamedTuple):
    """Precision and recall of a class change with the score from which on its objects are taken; one is chosen."""

    scores: Sequence[float]
    precision: Band
    recall: Band
    chosen: tuple[float, float, float]
    num_objects: int


def plot_operating_points(
    choices: Mapping[str, Choice],
    shares: tuple[Sequence[float], Sequence[float]],
    bins: Bins,
    path: Path,
) -> None:
    """Write a PNG or SVG file with a panel for each class that has most objects, and one of what scores mean.

    `shares` are scores and the share of detections of such a score that is right, `bins` what was counted of that: mean
    score, share, and number of detections.
    """
    shown = sorted(choices, key=lambda name: -choices[name].num_objects)[:MOST]
    columns = ceil(sqrt(len(shown) + 1))
    rows = ceil((len(shown) + 1) / columns)
    with style(tuple(choices)):
        figure = Figure(figsize=(3.9 * columns, 3.1 * rows), layout="constrained")
        for place, (name, title) in enumerate(zip(shown, legible(shown), strict=True), 1):
            _draw_choice(figure.add_subplot(rows, columns, place), title, choices[name], first=place == 1)
        _draw_shares(figure.add_subplot(rows, columns, len(shown) + 1), shares, bins)
        save_figure(figure, path)


def _draw_choice(axes: Axes, title: str, choice: Choice, *, first: bool) -> None:
    colors = (palette(2) / 255).tolist()
    for name, band, color in zip(("precision", "recall"), (choice.precision, choice.recall), colors, strict=True):
        values, low, high = zip(*band, strict=True)
        axes.plot(choice.scores, values, color=color, linewidth=1.8, label=name)
        axes.fill_between(choice.scores, low, high, color=color, alpha=0.18, linewidth=0)
    score, lowest, highest = choice.chosen
    axes.axvline(score, color=INK, linewidth=1.4)
    axes.axvspan(lowest, highest, color=INK, alpha=0.1, linewidth=0)
    dress(axes, title)
    axes.set_title(f"from {score:.2f} on", loc="right", fontsize=9)
    _square(axes, "taken from this score on")
    if first:
        axes.legend(loc="lower center", frameon=False, fontsize=8.5)


def _draw_shares(axes: Axes, shares: tuple[Sequence[float], Sequence[float]], bins: Bins) -> None:
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (3, 2)), label="score is the share")
    (color,) = (palette(1) / 255).tolist()
    axes.plot([0, *shares[0], 1], [shares[1][0], *shares[1], shares[1][-1]], color=color, linewidth=1.8, label="fitted")
    scores, right, counts = zip(*bins, strict=True)
    sizes = [12 + 110 * count / max(counts) for count in counts]
    axes.scatter(scores, right, s=sizes, color=color, alpha=0.55, linewidth=0, label="counted", clip_on=False)
    dress(axes, "what scores mean")
    _square(axes, "score")
    axes.set_ylabel("share that is right")
    axes.legend(loc="upper left", frameon=False, fontsize=8.5)


def _square(axes: Axes, label: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=label)
    axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.8)
