"""A study is written as one HTML file: scatters, tables, pictures side by side, and what follows from them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.splits import spread
from delineate.deploy import Predictor
from delineate.io.files import written_beside
from delineate.metrics import main_metrics
from delineate.metrics.detection import LIKELY
from delineate.study.results import Findings, Result, not_tried, pareto_front, recommendations
from delineate.system.catalog import find_entry
from delineate.values import Detections, InputError, counted
from delineate.viz import draw_target, fitted
from delineate.viz.curves import inline_svg, save_figure, style
from delineate.viz.report import Exhibit, page_environment
from delineate.viz.scaling import READABLE
from delineate.viz.trade_off import Point, trade_off_figure

NUM_PICTURES, WIDEST = 4, 640
FAMILIES = {
    "segmentation": "segmentation",
    "regression": "regression",
    "two_stage": "two-stage",
    "one_stage": "one-stage",
    "queries": "queries",
}
TIME = "seconds a picture"
COSTS = {
    TIME: lambda result: result.latency["total"].median,
    "GFLOPs a picture": lambda result: max(result.flops, 1.0) / 1e9,
    "million parameters": lambda result: result.parameters / 1e6,
    "MiB of memory that predicting takes": lambda result: max(result.memory, 2**20) / 2**20,
}
"""What accuracy may cost, less being better."""


def write_study(path: Path, findings: Findings, dataset: Dataset | None = None) -> None:
    """Write the report of one or several studies; with the data they were measured on, its pictures too.

    The page needs no network and no other file. Raises `InputError` where no entry came to its end.
    """
    if not findings.results:
        raise InputError(f"{path}: no entry came to its end; there is nothing to report")
    results = findings.results
    rows, times = [table_row(result) for result in results], [time_row(result) for result in results]
    with style():
        figures = [inline_svg(trade_off(results, cost)) for cost in COSTS]
    page = (
        page_environment()
        .get_template("study/page.html.j2")
        .render(
            title=_title(results),
            facts=findings.facts,
            advice=[*recommendations(results), *([not_tried(results)] if any(its.seeds for its in results) else [])],
            figures=figures,
            rows=rows,
            columns=list(dict.fromkeys(name for row in rows for name in row)),
            times=times,
            exported=any(result.exported for result in results),
            steps=list(dict.fromkeys(name for row in times for name in row)),
            per_class={result.name: classes for result in results if (classes := _by_class(result))},
            per_size={result.name: sizes for result in results if (sizes := _by_size(result))},
            errors={result.name: result.errors for result in results if result.errors},
            failures=findings.failures,
            pictures=[] if dataset is None else _side_by_side(results, dataset),
            protocols=sorted({result.protocol for result in results}),
        )
    )
    with written_beside(path) as beside:
        beside.write_text(page, encoding="utf-8")


def _title(results: Sequence[Result]) -> str:
    exports = sum(bool(result.exported) for result in results)
    kinds = {"system": len(results) - exports, "export": exports}
    return " and ".join(counted(count, kind) for kind, count in kinds.items() if count) + " compared"


def write_plot(path: Path, results: Sequence[Result]) -> None:
    """Write the scatter of accuracy against time as .png or .svg."""
    with style():
        save_figure(trade_off(results, TIME), path)


def trade_off(results: Sequence[Result], cost: str) -> Figure:
    """Draw accuracy against one of `COSTS`, with the front of those that none beats."""
    costs = [float(COSTS[cost](result)) for result in results]
    values = [result.accuracy for result in results]
    names = short_names([result.name for result in results])
    points = [
        Point(
            name=name,
            family=family_of(result.model),
            cost=paid,
            value=result.accuracy,
            spread=result.spread.get(result.metric, 0.0),
            costs=(total.low, total.high) if cost == TIME else None,
        )
        for name, result, paid in zip(names, results, costs, strict=True)
        for total in (result.latency["total"],)
    ]
    return trade_off_figure(points, pareto_front(costs, values), cost=cost, value=results[0].metric, families=FAMILIES)


def short_names(names: Sequence[str]) -> list[str]:
    """Shorten names by the options that all entries of the same system share, which tell nothing apart."""
    split = [name.split(" ") for name in names]
    short = []
    for system, *options in split:
        shared = set(options).intersection(*(values for name, *values in split if name == system))
        short.append(" ".join((system, *(option for option in options if option not in shared))))
    return short


def family_of(model: str) -> str:
    """Name the folder of the system's family."""
    return find_entry(model).preset.__module__.split(".")[2]


def table_row(result: Result) -> dict[str, Any]:
    """Make a row of the sortable table."""
    row: dict[str, Any] = {"system": result.name, **main_metrics(result.metrics)}
    if len(result.seeds) > 1:
        row["±"] = result.spread[result.metric]
    return row | {
        "pictures/s": result.throughput,
        "ms a picture": 1e3 * result.latency["total"].median,
        "GFLOPs": result.flops / 1e9,
        "M parameters": result.parameters / 1e6,
        "memory, MiB": result.memory / 2**20,
        "weights, MiB": result.size / 2**20,
        **({"training, s": result.training_seconds, "pictures seen": result.pictures} if result.pictures else {}),
    }


def time_row(result: Result) -> dict[str, Any]:
    """Write the milliseconds of each step: the median, and where the middle eight tenths lie."""
    row: dict[str, Any] = {"system": result.name}
    for step, taken in result.latency.items():
        median, low, high = (_milliseconds(seconds) for seconds in (taken.median, taken.low, taken.high))
        row[step] = f"{median} ({low}–{high})"
    return row


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:,.0f}" if seconds >= 0.1 else f"{1e3 * seconds:.3g}"


def _by_size(result: Result) -> dict[str, float]:
    """List the main metric of small, medium and large objects."""
    names = {size: f"{result.metric}_{size}" for size in ("small", "medium", "large")}
    return {size: result.metrics[name] for size, name in names.items() if name in result.metrics}


def _by_class(result: Result) -> dict[str, float]:
    """List the first metric of each class."""
    first = next(iter(next(iter(result.per_class.values()), {})), "")
    return {name: metrics[first] for name, metrics in result.per_class.items() if first in metrics}


def _side_by_side(results: Sequence[Result], dataset: Dataset) -> list[Exhibit]:
    """Draw the same pictures as each system sees them, truth first."""
    samples = [dataset[index] for index in spread(len(dataset), NUM_PICTURES)]
    views = [[("truth", _drawn(sample.image, sample.target, dataset))] for sample in samples]
    for result in results:
        run = Path(result.folders[0]) if result.folders else None
        if run is None or not run.exists():
            continue
        predictor = Predictor.load(run)
        for sample, own in zip(samples, views, strict=True):
            (prediction,) = predictor([sample.image])
            caption = result.name
            uncalibrated = predictor.system.operating_points is None
            if isinstance(prediction, Detections) and predictor.system.task.finds_many and uncalibrated:
                prediction = prediction.above(LIKELY)
                caption += "" if len(prediction) else f": nothing above {LIKELY:g}"
            own.append((caption, _drawn(sample.image, prediction, dataset)))
    return [Exhibit(Path(sample.file).name, own) for sample, own in zip(samples, views, strict=True)]


def _drawn(image: Tensor, annotations: Any, dataset: Dataset) -> Tensor:
    image, annotations = fitted(image, annotations, smallest=READABLE, largest=WIDEST)
    return draw_target(image, annotations, dataset.categories)


def read_findings(folders: Sequence[Path]) -> Findings:
    """Read the results of one or several studies from their tables.

    Raises `InputError` naming a folder without results.
    """
    results: list[Result] = []
    failures: dict[str, str] = {}
    facts: dict[str, str] = {}
    several = len(folders) > 1
    for folder in folders:
        file = folder / "results.json"
        if not file.is_file():
            raise InputError(f"{folder}: no study, there is no results.json in it; name a folder that `compare` wrote")
        values = json.loads(file.read_text(encoding="utf-8"))
        for row in values["results"]:
            result = Result.read(row)
            if several and any(result.name == other.name for other in results):
                result = replace(result, name=f"{result.name} ({folder.name})")
            results.append(result)
        failures |= values["failures"]
        facts |= {f"{folder.name}: {name}" if several else name: value for name, value in values["facts"].items()}
    if len({result.metric for result in results}) > 1:
        metrics = ", ".join(sorted({result.metric for result in results}))
        raise InputError(f"studies: their systems are measured by {metrics}; merge those of one task")
    return Findings(results=results, failures=failures, facts=facts)
