"""A figure shows what was taken for what."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int64
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from delineate.values import InputError
from delineate.values.categories import BACKGROUND
from delineate.viz.curves import INK, save_figure, style
from delineate.viz.scripts import legible

BLUES = LinearSegmentedColormap.from_list("blues", [(0.0, 0.45, 0.7, 0.0), (0.0, 0.45, 0.7, 1.0)])
MOST_WITH_COUNTS, MOST_WITH_NUMBERS = 12, 24


def plot_confusion(matrix: Int64[Tensor, "n n"], names: Sequence[str], path: Path) -> None:
    """Write a PNG or SVG file of a confusion matrix, see `confusion_figure`."""
    with style(names):
        save_figure(confusion_figure(matrix, names), path)


def confusion_figure(matrix: Int64[Tensor, "n n"], names: Sequence[str]) -> Figure:
    """Draw a confusion matrix: rows are the truth, columns the prediction, a cell is the percentage of its row.

    Of few classes a cell has its count below, and rows and columns have theirs, and their precision.

    Raises `InputError` where there is not one name a row.
    """
    if len(matrix) != len(names):
        raise InputError(f"confusion: {len(matrix)} rows beside {len(names)} names; give one name a class")
    names, num_classes = legible(names), len(names)
    share = matrix.double() / matrix.sum(1, keepdim=True).clamp(min=1)
    side = min(3.6 + 0.46 * num_classes, 14)
    figure = Figure(figsize=(side, side * 0.92), layout="constrained")
    axes = figure.add_subplot()
    axes.pcolormesh(share.numpy(), cmap=BLUES, vmin=0, vmax=1, rasterized=num_classes > MOST_WITH_NUMBERS)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    centers = [index + 0.5 for index in range(num_classes)]
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xticks(centers, names, rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks(centers, names)
    axes.tick_params(length=0, labelsize=9 if num_classes <= MOST_WITH_NUMBERS else max(3, 9 - num_classes // 16))
    axes.set(xlabel="prediction", ylabel="truth")
    if num_classes <= MOST_WITH_NUMBERS:
        _write_cells(axes, matrix, share)
        _write_margins(axes, matrix, BACKGROUND in names)
    return figure


def _write_cells(axes: Axes, matrix: Int64[Tensor, "n n"], share: Tensor) -> None:
    with_counts = len(matrix) <= MOST_WITH_COUNTS
    for row, column in matrix.nonzero().tolist():
        value, up = float(share[row, column]), 0.11 * with_counts
        ink = "white" if value > 0.6 else INK
        if value >= 0.005:
            axes.text(
                column + 0.5, row + 0.5 - up, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=ink
            )
        if with_counts:
            count = _short(int(matrix[row, column]))
            axes.text(column + 0.5, row + 0.75, count, ha="center", va="center", fontsize=6, color=ink)


def _write_margins(axes: Axes, matrix: Int64[Tensor, "n n"], has_missed: bool) -> None:
    """Write how many there are of each row and column, and how many of a column are right; of missed objects none."""
    num_classes, right, predicted = len(matrix), matrix.diagonal(), matrix.sum(0)
    axes.text(num_classes + 0.2, -0.15, "count", va="bottom", fontsize=8, fontstyle="italic")
    for row, count in enumerate(matrix.sum(1).tolist()):
        axes.text(num_classes + 0.2, row + 0.5, _short(count), va="center", fontsize=8)
    for line, title in enumerate(("count", "precision")):
        axes.text(-0.1, num_classes + 0.35 + 0.5 * line, title, ha="right", va="center", fontsize=8, fontstyle="italic")
    precision = 100 * right.double() / predicted
    if has_missed and not right[-1]:
        precision[-1] = torch.nan
    for column, (count, percent) in enumerate(zip(predicted.tolist(), precision.tolist(), strict=True)):
        axes.text(column + 0.5, num_classes + 0.35, _short(count), ha="center", va="center", fontsize=8)
        written = f"{percent:.0f}" if percent == percent else "–"
        axes.text(column + 0.5, num_classes + 0.85, written, ha="center", va="center", fontsize=8)


def _short(count: int) -> str:
    """Write a count in few letters, as in 9,876 and 12k and 3.4M."""
    if count < 10_000:
        return f"{count:,}"
    number, unit = (count / 1e3, "k") if count < 1_000_000 else (count / 1e6, "M")
    return f"{number:.2g}{unit}" if number < 99.5 else f"{number:.0f}{unit}"
