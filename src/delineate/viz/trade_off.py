"""A figure shows what accuracy costs: a point for each system, and the line of those that none beats."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox, BboxBase

from delineate.values import InputError
from delineate.viz.curves import INK
from delineate.viz.palette import palette

APART, LONGEST_LINE = 7.0, 28
"""Pixels from the middle of a point that are its own, and letters of a name in one line."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A system stands at what it costs and what it reaches; `spread` is the standard deviation of the latter.

    Where costs vary, most lie between the two `costs`.
    """

    name: str
    family: str
    cost: float
    value: float
    spread: float = 0.0
    costs: tuple[float, float] | None = None


def trade_off_figure(
    points: Sequence[Point], front: Sequence[int], *, cost: str, value: str, families: Mapping[str, str] | None = None
) -> Figure:
    """Draw costs, which are above 0, on a logarithmic axis against values.

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
            xerr=_reach(own),
            yerr=[point.spread for point in own] if any(point.spread for point in own) else None,
            elinewidth=1,
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
    _name_points(figure, axes, points, front)  # last: now it is known how far apart points are
    return figure


def _reach(points: Sequence[Point]) -> list[list[float]] | None:
    """Measure how far costs reach below and above the points, where they vary."""
    if any(point.costs is None for point in points):
        return None
    ends = [(point.cost, *(point.costs or ())) for point in points]
    return [[max(cost - low, 0) for cost, low, _ in ends], [max(high - cost, 0) for cost, _, high in ends]]


def _spread_limits(axes: Axes, points: Sequence[Point]) -> None:
    """Leave room for names beside the outermost points."""
    costs, values = [point.cost for point in points], [point.value for point in points]
    low, high = min(costs), max(costs)
    factor = max((high / low) ** 0.12, 1.25)
    axes.set_xlim(low / factor, high * factor**1.6)
    margin = max(0.08 * (max(values) - min(values)), 0.015)
    axes.set_ylim(min(values) - margin, max(values) + 1.6 * margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: f"{cost:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name_points(figure: Figure, axes: Axes, points: Sequence[Point], front: Sequence[int]) -> None:
    """Write each name beside its point, or with a line to it where it would hide another or the front; best first."""
    figure.draw_without_rendering()
    places = axes.transData.transform([(point.cost, point.value) for point in points])
    line = Path(places[list(front)])
    taken = [Bbox.from_extents(x - APART, y - APART, x + APART, y + APART) for x, y in places]
    taken += _bars(axes, points)
    for index in sorted(range(len(points)), key=lambda i: points[i].value, reverse=True):
        name = axes.annotate(
            textwrap.fill(points[index].name, LONGEST_LINE),
            (points[index].cost, points[index].value),
            xytext=(0, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            fontweight="bold" if index in front else "normal",
            arrowprops={"arrowstyle": "-", "color": INK, "alpha": 0.35, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4},
        )
        name.set_in_layout(False)  # else a long name would make the axes narrow
        extent = Text.get_window_extent(name)
        x, y = places[index]
        others = [*taken[:index], *taken[index + 1 :]]
        box = _free_place(extent.width, extent.height, x, y, others, line, axes.bbox)
        points_a_pixel = 72 / figure.dpi
        name.set_position(((box.x0 - x) * points_a_pixel, ((box.y0 + box.y1) / 2 - y) * points_a_pixel))
        assert name.arrow_patch is not None
        name.arrow_patch.set_visible(not box.y0 <= y <= box.y1)
        taken.append(box)


def _bars(axes: Axes, points: Sequence[Point]) -> list[Bbox]:
    """Find the places, in pixels, of the bars that show how costs vary."""
    ends = [[(cost, point.value) for cost in point.costs] for point in points if point.costs is not None]
    lines = [axes.transData.transform(line) for line in ends]
    return [Bbox.from_extents(start[0], start[1] - 1, end[0], end[1] + 1) for start, end in lines]


def _free_place(
    width: float, height: float, x: float, y: float, taken: Sequence[BboxBase], line: Path, limits: BboxBase
) -> Bbox:
    """Find where a name of that size, in pixels, hides nothing: near its point, or else right of it."""
    for step in range(12):
        for up in (step * height / 3, -step * height / 3):
            for left in (x + 1.5 * APART, x - 1.5 * APART - width):
                box = Bbox.from_bounds(left, y + up - height / 2, width, height)
                inside = limits.x0 <= box.x0 and box.x1 <= limits.x1 and limits.y0 <= box.y0 and box.y1 <= limits.y1
                if inside and not box.count_overlaps(taken) and not line.intersects_bbox(box, filled=False):
                    return box
    return Bbox.from_bounds(x + 1.5 * APART, y - height / 2, width, height)
