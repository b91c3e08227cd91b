"""One HTML file tells one run."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from math import isnan, nan
from pathlib import Path
from typing import NamedTuple

import jinja2
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from delineate.io.files import written_beside
from delineate.viz.confusion import confusion_figure
from delineate.viz.curves import History, Number, curve_figures, inline_svg, style
from delineate.viz.detection_figures import error_figure, precision_recall_figure
from delineate.viz.grid import to_pil
from delineate.viz.scripts import legible
from delineate.viz.verdicts import VERDICTS

WIDEST_PICTURE, NUM_OPEN = 1600, 4
"""Pixels of a picture, and the pictures that are seen before the others are asked for."""


class Exhibit(NamedTuple):
    """A picture has a caption, and views by title, such as truth and prediction."""

    caption: str
    views: Sequence[tuple[str, UInt8[Tensor, "3 _h _w"]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """A report has these parts; those that are empty are left out of it.

    `headline` holds the metrics of the whole, the most important first; `advice` is a sentence below it. `facts` are
    what was run and where (system, data, seed, time, machine, ...), `protocol` how it was measured, `command` the line
    that does it again. `history` has one row an epoch of the training, which `training` says in a sentence.
    `measures` gives each metric of each thing that is measured, such as boxes and masks, and `per_class` the metrics of
    each class, or of each of what `row` says. `colors` are those of names in tables, figures and pictures, as
    `#rrggbb`. `confusion[i, j]` counts what is `confusion_names[i]` and was taken for `confusion_names[j]`.
    `precision_recall` gives the precision of each class at recalls spread evenly over 0..1; `errors` what each sort of
    error costs in average precision, and `error_counts` how many there are; both are of what `detection_note` says.
    `worst_pictures` are marked by `draw_verdicts`.
    """

    title: str
    summary: str = ""
    headline: Mapping[str, Number] = field(default_factory=dict)
    advice: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    protocol: str = ""
    command: str = ""
    history: History = ()
    training: str = ""
    measures: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)
    per_class: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)
    row: str = "class"
    colors: Mapping[str, str] = field(default_factory=dict)
    confusion: Int64[Tensor, "n n"] | None = None
    confusion_names: Sequence[str] = ()
    precision_recall: Mapping[str, Float[Tensor, " _r"]] = field(default_factory=dict)
    errors: Mapping[str, Number] = field(default_factory=dict)
    error_counts: Mapping[str, int] | None = None
    detection_note: str = ""
    pictures: Sequence[Exhibit] = ()
    worst_pictures: Sequence[Exhibit] = ()


def write_report(path: Path, report: Report) -> None:
    """Write the report as one HTML file that needs no script, no network and no other file."""
    page = page_environment().get_template("viz/report.html.j2")
    values = {"columns_of": _columns, "num_open": NUM_OPEN, "verdicts": VERDICTS, "nan": nan}
    text = page.render(title=report.title, report=report, **_figures(report), **values)
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def page_environment() -> jinja2.Environment:
    """Make what fills our pages; templates are named by room and file, numbers and pictures written by filters."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("delineate", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["data_uri"] = data_uri
    environment.globals["next_number"] = count(1).__next__
    return environment


def _figures(report: Report) -> dict[str, list[str] | str | None]:
    """Draw the figures as SVG, by their names in the template."""
    names = report.confusion_names or tuple(report.precision_recall)
    shown = dict(zip(names, legible(names), strict=True))
    curves = {shown.get(name, name): curve for name, curve in report.precision_recall.items()}
    colors = {shown.get(name, name): color for name, color in report.colors.items()}
    errors, confusion = report.errors, report.confusion
    with style(names):
        return {
            "curves": [inline_svg(figure) for figure in curve_figures(report.history)] if report.history else [],
            "precision_recall": inline_svg(precision_recall_figure(curves, colors)) if curves else None,
            "errors": inline_svg(error_figure(errors, report.error_counts)) if errors else None,
            "confusion": None if confusion is None else inline_svg(confusion_figure(confusion, names)),
        }


def _columns(rows: Mapping[str, Mapping[str, Number]]) -> dict[str, bool]:
    """List the metrics that some row has, and whether each is a share, all its values being in 0..1."""
    columns: dict[str, bool] = {}
    for metrics in rows.values():
        for name, value in metrics.items():
            columns[name] = columns.get(name, True) and (isnan(value) or 0 <= value <= 1)
    return columns


def _number(value: Number) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isnan(value):
        return "–"
    if abs(value) <= 1:
        return f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def data_uri(image: UInt8[Tensor, "3 h w"]) -> str:
    """Write the picture as a JPEG inside of a page, very wide ones reduced."""
    picture = to_pil(image)
    picture.thumbnail((WIDEST_PICTURE, 20 * WIDEST_PICTURE), Image.Resampling.LANCZOS)
    file = BytesIO()
    picture.save(file, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
