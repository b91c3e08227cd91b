"""`delineate val RUN DATA`: how good a run is on a split."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from delineate.cli.output import AsJson, Device, headline, number, print_json, print_line, print_table, progress, table
from delineate.evaluation.report import Measured, by_shape, run_report

if TYPE_CHECKING:
    from delineate.training import Evaluation


def val(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a training run, or a .safetensors file of one.")
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder (or COCO .json) of labelled pictures.")],
    split: Annotated[str, typer.Option(help="Split to measure on.")] = "val",
    data_format: Annotated[
        str | None, typer.Option("--format", help="Layout of the data; found out if not given.")
    ] = None,
    protocol: Annotated[
        Literal["coco", "voc"],
        typer.Option(help="Rules for detections; voc adds VOC2007's and VOC2010's average precision to COCO's."),
    ] = "coco",
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a report with figures and pictures to this file.")
    ] = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Measure a run's best weights on a split of a data set, at the original size of every picture."""
    from delineate.deploy import Predictor
    from delineate.system.checkpoint import find_checkpoint, read_facts
    from delineate.training import evaluate_run
    from delineate.training.data import read_split
    from delineate.viz import write_report

    file = find_checkpoint(run)
    _check(read_facts(file)["system"], protocol, report)
    with progress() as bar:
        evaluation = evaluate_run(
            file,
            data,
            split,
            format=data_format,
            device=device,
            num_workers=workers,
            watch=lambda batches: bar.track(batches, description="measuring"),
        )
    if protocol == "voc":
        evaluation = _with_voc(evaluation)
    if report is not None:
        measured = Measured(
            evaluation=evaluation,
            dataset=read_split(data, split, evaluation.task, data_format),
            predictor=Predictor.load(file, device=device),
        )
        options = ["--split", split, "--protocol", protocol, "--report", str(report)]
        command = shlex.join(["delineate", "val", str(run), str(data), *options])
        write_report(report, run_report(file, measured, f"{data}, split {split}", command))
    if as_json:
        found = {name: getattr(evaluation, name) for name in ("metrics", "protocol", "num_images")}
        print_json(found if report is None else {**found, "report": str(report)})
        return
    _print(evaluation)
    if report is not None:
        print_line(f"open [bold]{escape(str(report))}[/]")


def _print(evaluation: "Evaluation") -> None:
    """The classes, the shapes where there are several, and the line that counts."""
    print_table(rows_table("joint" if evaluation.task == "joints" else "class", evaluation.per_class))
    if evaluation.objects is not None:
        print_table(rows_table("", by_shape(evaluation.metrics)))
    print_line(headline(evaluation.metrics))
    print_line(f"[dim]{evaluation.num_images} pictures; {evaluation.protocol}[/]")


def rows_table(kind: str, rows_of: Mapping[str, Mapping[str, float]]) -> Table:
    """A row a class (or what else `kind` says), a column a metric."""
    columns = list(dict.fromkeys(name for metrics in rows_of.values() for name in metrics))
    rows = table(kind, *columns)
    for column in rows.columns[1:]:
        column.justify = "right"
    for name, metrics in rows_of.items():
        rows.add_row(escape(name), *(number(metrics.get(column)) for column in columns))
    return rows


def _check(system: str, protocol: str, report: Path | None) -> None:
    """Say before measuring, which takes long, what would be wrong after it."""
    from delineate.system.catalog import find_system
    from delineate.values import InputError

    given = {"segment": "label maps", "localize": "one object a picture", "joints": "joints"}
    task = find_system(system).task
    if protocol == "voc" and task in given:
        raise InputError(f"protocol: voc measures detections, and {system} gives {given[task]}; leave it out")
    if report is not None and report.is_dir():
        raise InputError(f"report: {report} is a folder; name a file, such as {report / 'report.html'}")
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"report: {report} does not end with .html, which is what is written")


def _with_voc(evaluation: "Evaluation") -> "Evaluation":
    """The evaluation with VOC's figures of boxes behind COCO's."""
    from dataclasses import replace

    from delineate.metrics import VOC_PROTOCOL, voc_metrics

    assert evaluation.objects is not None
    names = evaluation.names[:-1]
    metrics = voc_metrics(evaluation.objects.detections, evaluation.objects.targets, names)
    per_class = {
        name: {
            **row,
            **{key.partition("/")[0]: value for key, value in metrics.items() if key.partition("/")[2] == name},
        }
        for name, row in evaluation.per_class.items()
    }
    return replace(
        evaluation,
        metrics=evaluation.metrics | metrics,
        per_class=per_class,
        protocol=f"{evaluation.protocol}. {VOC_PROTOCOL}",
    )
