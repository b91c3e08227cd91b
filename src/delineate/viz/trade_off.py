"""What accuracy costs: a point for each system, and the line of those that none beats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from delineate.structures import InputError
from delineate.viz.curves import INK
from delineate.viz.palette import palette


@dataclass(frozen=True, kw_only=True)
class Point:
    """A system by what it costs and what it reaches; `spread` is the standard deviation of the latter."""

    name: str
    family: str
    cost: float
    value: float
    spread: float = 0.0


def trade_off_figure(
    points: Sequence[Point], front: Sequence[int], *, cost: str, value: str, families: Mapping[str, str] | None = None
) -> Figure:
    """Costs, which are above 0, on a logarithmic axis against values.

    `front` are the indices of the points that the line joins, in order. A family has one colour, and
    `families` names them. Raises `InputError` where there is nothing to draw.
    """
    if not points:
        raise InputError("points: nothing to draw; it holds one point a system")
    names = list(dict.fromkeys(point.family for point in points))
    colors = dict(zip(names, (palette(max(len(names), 1)) / 255).tolist(), strict=False))
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    line = [points[index] for index in front]
    axes.plot(
        [point.cost for point in line], [point.value for point in line], color=INK, alpha=0.45, linewidth=1.4, zorder=1
    )
    for family in names:
        own = [point for point in points if point.family == family]
        axes.errorbar(
            [point.cost for point in own],
            [point.value for point in own],
            yerr=[point.spread for point in own] if any(point.spread for point in own) else None,
            fmt="o",
            markersize=7,
            color=colors[family],
            label=(families or {}).get(family, family),
            zorder=2,
        )
    _spread_limits(axes, points)
    axes.set(xlabel=cost, ylabel=value)
    axes.grid(color=INK, alpha=0.13, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    if len(names) > 1:
        figure.legend(loc="outside lower center", ncols=min(len(names), 5), frameon=False, fontsize=9)
    _name_points(
        figure, axes, points, set(front)
    )  # last: how far apart points are, is known when all else has its place
    return figure


def _spread_limits(axes: Axes, points: Sequence[Point]) -> None:
    """Room for names beside the outermost points."""
    costs, values = [point.cost for point in points], [point.value for point in points]
    low, high = min(costs), max(costs)
    factor = max((high / low) ** 0.12, 1.25)
    axes.set_xlim(low / factor, high * factor**2.6)
    margin = max(0.08 * (max(values) - min(values)), 0.015)
    axes.set_ylim(max(0.0, min(values) - margin), max(values) + 1.6 * margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: f"{cost:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name_points(figure: Figure, axes: Axes, points: Sequence[Point], front: set[int]) -> None:
    """Each name at the right of its point, moved up or down where it would hide another."""
    figure.draw_without_rendering()
    taken: list[tuple[float, float, float]] = []
    height = 12.0
    for index in sorted(range(len(points)), key=lambda i: points[i].value, reverse=True):
        point = points[index]
        x, y = axes.transData.transform((point.cost, point.value))
        width = 5.2 * len(point.name) + 10
        place = y
        while any(abs(place - other) < height and x < right and x + width > left for left, right, other in taken):
            place -= 2.0
        taken.append((x, x + width, place))
        axes.annotate(
            point.name,
            (point.cost, point.value),
            xytext=(8, (place - y) * 72 / figure.dpi),
            textcoords="offset points",
            va="center_baseline",
            fontsize=8.5,
            fontweight="bold" if index in front else "normal",
        )
