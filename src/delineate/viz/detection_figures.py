"""Figures show how precision falls with recall, and what each sort of error costs a detector."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from delineate.values import InputError
from delineate.viz.curves import INK, Number, dress
from delineate.viz.palette import class_colors, hex_color, palette

MOST_NAMES = 14


def precision_recall_figure(
    curves: Mapping[str, Float[Tensor, " _r"]], colors: Mapping[str, str] | None = None
) -> Figure:
    """Draw the precision of each class at recalls spread evenly over 0..1, and the mean over the classes.

    Classes are listed with their average precision, the best first; of very many the best and the worst are. `colors`
    may give a class its colour, as `#rrggbb`.

    Raises `InputError` where there is no curve.
    """
    if not curves:
        raise InputError("precision_recall: no curve to draw; it holds one a class")
    shades = class_colors(tuple(curves)) | dict(colors or {})
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    thin = len(curves) > MOST_NAMES
    for name, precision in curves.items():
        axes.plot(*_points(precision), color=shades[name], linewidth=0.8 if thin else 1.8, alpha=0.5 if thin else 1)
    entries = sorted(
        ((float(precision.mean()), name, shades[name]) for name, precision in curves.items()), reverse=True
    )
    if len(curves) > 1:
        mean = torch.stack([precision.double() for precision in curves.values()]).mean(0)
        axes.plot(*_points(mean), color=INK, linewidth=2.6, linestyle=(0, (3, 1.2)))
        entries = [(float(mean.mean()), "mean", INK), *entries]
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="recall", ylabel="precision")
    dress(axes, "precision and recall")
    axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.8)
    _list_curves(axes, entries)
    return figure


def error_figure(gains: Mapping[str, Number], counts: Mapping[str, int] | None = None) -> Figure:
    """Draw a bar for each sort of error, as long as what mending all of that sort would gain, the costliest first.

    `counts` gives their number, written in brackets behind the gain.

    Raises `InputError` where there is nothing to draw.
    """
    if not gains:
        raise InputError("errors: no bar to draw; it holds one number a sort of error")
    ordered = sorted(gains.items(), key=lambda error: error[1])
    figure = Figure(figsize=(5.2, 0.9 + 0.36 * len(ordered)), layout="constrained")
    axes = figure.add_subplot()
    color = hex_color(palette(1)[0].tolist())
    axes.barh([name for name, _ in ordered], [gain for _, gain in ordered], color=color, height=0.62)
    longest = max(max(gain for _, gain in ordered), 1e-9)
    axes.set_xlim(0, longest * 1.3)
    for place, (name, gain) in enumerate(ordered):
        count = "" if counts is None else f" ({counts[name]:,})"
        axes.text(gain + longest * 0.02, place, f"{gain:.3f}{count}", va="center_baseline", fontsize=9)
    dress(axes, "what errors cost")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    return figure


def _points(precision: Float[Tensor, " r"]) -> tuple[list[float], list[float]]:
    return torch.linspace(0, 1, len(precision)).tolist(), precision.tolist()


def _list_curves(axes: Axes, entries: list[tuple[float, str, str]]) -> None:
    """Write names with their average precision, in a column beside the axes."""
    lines: list[tuple[str, str]] = [(f"{name}  {value:.3g}", color) for value, name, color in entries]
    if len(lines) > MOST_NAMES + 1:
        half = MOST_NAMES // 2
        lines = [*lines[: half + 1], (f"… {len(lines) - 2 * half - 1} more", "none"), *lines[-half:]]
    gap = min(0.075, 1 / len(lines))
    size = 9 if gap > 0.07 else 8
    where: dict[str, Any] = {"transform": axes.transAxes, "va": "center_baseline", "fontsize": size}
    for row, (words, color) in enumerate(lines):
        axes.text(1.03, 0.97 - row * gap, "●", color=color, **where)
        axes.text(1.08, 0.97 - row * gap, words, **where)
