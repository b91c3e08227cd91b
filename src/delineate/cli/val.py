"""`delineate val RUN [DATA]` measures how good a run, or its export, is on what it held out, or on other data."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from delineate.cli.operating import found_by, taken_from
from delineate.cli.options import (
    OVERLAP,
    AsJson,
    ClassAgnostic,
    Device,
    Format,
    MaxCandidates,
    MaxDetections,
    NmsIou,
    Overlap,
    OwnSplit,
    RunOrExport,
    SkipUnreadable,
    Tile,
    Workers,
)
from delineate.cli.output import headline, number, print_json, print_line, print_table, progress, say, table

if TYPE_CHECKING:
    from delineate.evaluation import Evaluation
    from delineate.system.system import System


def val(
    run: RunOrExport,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="Folder of labelled pictures; if not given, the run's own."),
    ] = None,
    split: OwnSplit = None,
    data_format: Format = None,
    skip_unreadable: SkipUnreadable = False,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Measure only objects that score more than this; a high value lowers average precision. If not given, "
            "the system's own value, usually 0.05 or less.",
        ),
    ] = None,
    nms_iou: NmsIou = None,
    max_candidates: MaxCandidates = None,
    max_detections: MaxDetections = None,
    class_agnostic: ClassAgnostic = False,
    tile: Tile = None,
    overlap: Overlap = OVERLAP,
    protocol: Annotated[
        Literal["coco", "voc"],
        typer.Option(
            help="How detections are measured: by COCO's rules, or with voc also by those of PASCAL VOC 2007 and 2010."
        ),
    ] = "coco",
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Also write a report with figures and pictures to this file."),
    ] = None,
    device: Device = "auto",
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Measure a run's best weights on pictures that it was not trained on, at the original size of each.

    Without DATA these are the run's own: its split to validate on, or the pictures that it held out. An export is
    measured as it computes, on what its run would be.
    """
    from delineate.artefact import load_system
    from delineate.deploy.tiling import in_tiles
    from delineate.evaluation import evaluate, evaluation_data, source_of
    from delineate.evaluation.report import Measured, run_report, weights_of
    from delineate.training import Run as RunFolder
    from delineate.training import curves
    from delineate.values import InputError
    from delineate.viz import illegible, write_report

    limits = {
        "nms_iou": nms_iou,
        "max_candidates": max_candidates,
        "max_detections": max_detections,
        "class_agnostic": class_agnostic or None,
    }
    loaded = load_system(run, device=device)
    asked = loaded.unlike(found_by(limits, tile, overlap))
    system = loaded.with_thresholds(score=min_score, **limits)
    _check(system, protocol, report)
    if data is None and data_format is not None:
        raise InputError("format: the run knows that of its own data; leave it out, or name DATA")
    source = source_of(run, data, split, data_format)
    with progress() as bar:
        found = evaluation_data(
            system,
            source,
            skip_unreadable=skip_unreadable,
            say=say,
            watch=lambda pictures: bar.track(pictures, description="reading"),
        )
        evaluation = evaluate(
            system,
            found.dataset,
            num_workers=workers,
            watch=lambda batches: bar.track(batches, description="measuring"),
            most=max_detections,
            find=None if tile is None else in_tiles(system, tile, overlap),
        )
    evaluation = replace(evaluation, skipped=found.skipped, trained_on=found.trained_on)
    if protocol == "voc":
        evaluation = _with_voc(evaluation)
    if report is not None:
        measured = Measured(evaluation=evaluation, dataset=found.dataset, system=system)
        options = _options(
            split=split,
            format=data_format,
            skip_unreadable=skip_unreadable,
            protocol=protocol,
            tile=tile,
            overlap=None if tile is None else overlap,
            min_score=min_score,
            **limits,
            report=report,
        )
        page = run_report(
            measured,
            run=run,
            data=f"{source.data}, {source.part}",
            command=shlex.join(["delineate", "val", str(run), *([] if data is None else [str(data)]), *options]),
            history=curves(RunFolder(weights_of(run).parent).read_metrics()),
        )
        write_report(report, page)
        points = taken_from(run, options=asked) if min_score is None else []
        for line in (*illegible(evaluation.names), *points):
            say(line)
    if as_json:
        names = ("metrics", "protocol", "num_images", "skipped", "trained_on")
        results = {name: getattr(evaluation, name) for name in names}
        results |= {"data": str(source.data), "part": source.part}
        print_json(results if report is None else {**results, "report": str(report)})
        return
    _print(evaluation, f"{source.data}, {source.part}")
    if report is not None:
        print_line(f"open [bold]{escape(str(report))}[/]")


def _options(**values: Any) -> list[str]:
    """Write options as words of a command, but for those that were not given."""
    words = []
    for name, value in values.items():
        if value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


def _print(evaluation: "Evaluation", data: str) -> None:
    """Print the classes, the shapes where the system gives several, and the line that counts."""
    from delineate.metrics import by_content

    print_table(rows_table(evaluation.task.row, evaluation.per_class))
    if evaluation.objects is not None:
        print_table(rows_table("", by_content(evaluation.metrics)))
    print_line(headline(evaluation.metrics))
    print_line(f"[dim]{escape(data)}: {evaluation.pictures}; {evaluation.protocol}[/]")


def rows_table(kind: str, rows_of: Mapping[str, Mapping[str, float]]) -> Table:
    """Make a table with a row a class (or what else `kind` says), and a column a metric."""
    columns = list(dict.fromkeys(name for metrics in rows_of.values() for name in metrics))
    rows = table(kind, numbers=columns)
    for name, metrics in rows_of.items():
        rows.add_row(escape(name), *(number(metrics.get(column)) for column in columns))
    return rows


def _check(system: "System", protocol: str, report: Path | None) -> None:
    """Raise `InputError` before measuring, which takes long, for what would be wrong after it."""
    from delineate.values import InputError

    if protocol == "voc" and not system.task.finds_many:
        raise InputError(
            f"protocol: voc measures detections, and {system.name} finds {system.task.finds}; leave it out"
        )
    if report is not None and report.is_dir():
        raise InputError(f"report: {report} is a folder; name a file, such as {report / 'report.html'}")
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"report: {report} does not end with .html, which is what is written")


def _with_voc(evaluation: "Evaluation") -> "Evaluation":
    """Add VOC's figures of boxes behind COCO's."""
    from delineate.metrics import VOC_PROTOCOL, voc_metrics

    assert evaluation.objects is not None
    metrics = voc_metrics(evaluation.objects.detections, evaluation.objects.targets, evaluation.names[:-1])
    per_class = {name: dict(row) for name, row in evaluation.per_class.items()}
    for key, value in metrics.items():
        metric, _, name = key.partition("/")
        if name in per_class:
            per_class[name][metric] = value
    return replace(
        evaluation,
        metrics=evaluation.metrics | metrics,
        per_class=per_class,
        protocol=f"{evaluation.protocol}. {VOC_PROTOCOL}",
    )
