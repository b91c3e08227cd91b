"""Losses and metrics are drawn by epoch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from delineate.io.files import written_beside
from delineate.values import InputError
from delineate.viz.palette import palette
from delineate.viz.scripts import families

Number = int | float
History = Sequence[Mapping[str, Number]]
Curve = list[tuple[Number, Number]]

INK = "#3d4754"
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def plot_curves(history: History, path: Path) -> None:
    """Write a PNG or SVG file of all panels, see `curve_figures`, beside each other."""
    panels = _panels(history)
    with style():
        figure = Figure(figsize=(5.2 * len(panels), 3.4), layout="constrained")
        for position, (title, curves) in enumerate(panels.items(), start=1):
            _draw_panel(figure.add_subplot(1, len(panels), position), title, curves)
        save_figure(figure, path)


def curve_figures(history: History) -> list[Figure]:
    """Draw one figure a panel: the losses, the metrics (values in 0..1), and each other number by itself.

    One row of `history` is one epoch, numbered from 1 or by its entry `"epoch"`. What an epoch did not measure may be
    absent or NaN.

    Raises `InputError` where there is nothing to draw.
    """
    figures = []
    for title, curves in _panels(history).items():
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        _draw_panel(figure.add_subplot(), title, curves)
        figures.append(figure)
    return figures


@contextmanager
def style(names: Sequence[str] = ()) -> Iterator[None]:
    """Give figures our look, with fonts for the names of classes in them; they are made and saved inside."""
    look: dict[Any, Any] = {
        "font.family": families(names),
        "font.size": 9.5,
        "text.color": INK,
        "text.parse_math": False,  # a class may be called "$"
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "delineate",  # the same numbers give the same file
        "svg.fonttype": "none",  # text is text: it is found, and read aloud
    }
    with mpl.rc_context(look):
        yield


def dress(axes: Axes, title: str) -> None:
    """Give the axes a title, and take the line and the ticks at their left away."""
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG or SVG file; raises `InputError` for another suffix."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise InputError(f"{path}: curves are written as .png or .svg, not as {path.suffix or 'no suffix'}")
    with written_beside(path) as beside:
        figure.savefig(beside, format=kind, dpi=160, metadata=_metadata(figure) if kind == "svg" else None)


def inline_svg(figure: Figure) -> str:
    """Make the figure an element of an HTML page, transparent, its letters and axes in the page's own colour.

    Its title is that of its axes.
    """
    file = BytesIO()
    figure.savefig(file, format="svg", transparent=True, metadata=_metadata(figure))
    svg = re.sub("<metadata>.*?</metadata>", "", file.getvalue().decode(), flags=re.DOTALL)
    return svg[svg.index("<svg") :].replace("<svg ", '<svg role="img" ', 1).replace(INK, "currentColor")


def _metadata(figure: Figure) -> dict[str, str | None]:
    """Give an SVG a title: that of its axes, or what they show."""
    axes = figure.axes[0]
    title = axes.get_title(loc="left") or f"{axes.get_ylabel()} by {axes.get_xlabel()}"
    return {**NO_METADATA, "Title": title}


def _panels(history: History) -> dict[str, dict[str, Curve]]:
    """Sort the curves by panel: `{title: {name: [(epoch, value), ...]}}`."""
    curves: dict[str, Curve] = {}
    for number, row in enumerate(history, start=1):
        for name, value in row.items():
            if name != "epoch" and isfinite(value):
                curves.setdefault(name, []).append((row.get("epoch", number), value))
    if not curves:
        raise InputError("history: no numbers to draw; it holds one row of named numbers an epoch")
    panels: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        panels.setdefault(_panel(name, curve), {})[name] = curve
    return dict(sorted(panels.items(), key=lambda panel: {"loss": 0, "metrics": 1}.get(panel[0], 2)))


def _panel(name: str, curve: Curve) -> str:
    if "loss" in name:
        return "loss"
    if name in ("lr", "learning_rate") or not all(0 <= value <= 1 for _, value in curve):
        return name
    return "metrics"


def _draw_panel(axes: Axes, title: str, curves: Mapping[str, Curve]) -> None:
    colors = (palette(len(curves)) / 255).tolist()
    for (name, curve), color in zip(curves.items(), colors, strict=True):
        marker = "o" if len(curve) == 1 else None
        axes.plot(*zip(*curve, strict=True), color=color, linewidth=1.8, marker=marker, label=name, clip_on=False)
    dress(axes, title.replace("_", " "))
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1))
    axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.8)
    if max(len(curve) for curve in curves.values()) > 1:
        axes.margins(x=0)
    if title == "metrics":
        axes.set_ylim(0, 1)
    elif min(value for curve in curves.values() for _, value in curve) >= 0:
        axes.set_ylim(bottom=0)
    _name_curves(axes, curves, colors)


def _name_curves(axes: Axes, curves: Mapping[str, Curve], colors: Sequence[Sequence[float]]) -> None:
    """Write each curve's name and last value at its end, moved apart where they would touch."""
    bottom, top = axes.get_ylim()
    ends = sorted((curve[-1][1], name, color) for (name, curve), color in zip(curves.items(), colors, strict=True))
    heights = [(value - bottom) / (top - bottom) for value, _, _ in ends]
    gap = min(0.075, 1 / len(ends))
    for index in range(1, len(ends)):
        heights[index] = max(heights[index], heights[index - 1] + gap)
    heights[-1] = min(heights[-1], 1)
    for index in reversed(range(len(ends) - 1)):
        heights[index] = min(heights[index], heights[index + 1] - gap)
    for (value, name, color), height in zip(ends, heights, strict=True):
        where: dict[str, Any] = {"transform": axes.transAxes, "va": "center_baseline", "fontsize": 9}
        axes.text(1.02, height, "●", color=color, **where)
        axes.text(1.06, height, f"{name}  {value:.3g}", **where)
