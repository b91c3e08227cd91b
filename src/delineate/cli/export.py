"""`delineate export RUN` writes a run as a graph for other runtimes, and `delineate check` compares it again."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from delineate.cli.options import AsJson, Format, Run
from delineate.cli.output import print_json, print_line, progress, say
from delineate.values import InputError

if TYPE_CHECKING:
    from delineate.evaluation import Source
    from delineate.export.verdict import Level

OwnData = Annotated[
    Path | None,
    typer.Option(help="Folder of labelled pictures to compare on; if not given, what the run was validated on."),
]
OwnSplit = Annotated[str | None, typer.Option(help="Part of the data to compare on; val if not given.")]
Tolerance = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="By how much the metric (AP, mIoU ...) may differ; if not given, 0.001, and with int8 0.005.",
    ),
]


def export(
    run: Run,
    to: Annotated[
        Literal["onnx", "openvino"],
        typer.Option(help="The runtime to write for: onnx for ONNX Runtime, which is everywhere; openvino for CPUs."),
    ] = "onnx",
    precision: Annotated[
        Literal["fp32", "bf16", "int8"],
        typer.Option(
            help="Numbers to compute with. bf16 and int8 are faster where the processor has instructions for them, and "
            "for OpenVINO only; int8 is calibrated on the pictures that the run was trained on."
        ),
    ] = "fp32",
    data: OwnData = None,
    split: OwnSplit = None,
    data_format: Format = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; RUN/exports/TO-PRECISION if not given.")] = None,
    tolerance: Tolerance = None,
    as_json: AsJson = False,
) -> None:
    """Write a run as a graph that runs without PyTorch, proved to give what the run gives.

    The folder gets the graph, from resized pictures to boxes, scores, masks, keypoints or label maps; system.json,
    which says all that one needs to use it; and verdict.json. The verdict compares values of the graph, then results of
    your pictures, then the metric; where one of them differs by more than its limit, nothing is written. `predict`,
    `val` and `compare` take the folder in place of a run.
    """
    from delineate.export.exporting import export_run

    with progress() as bar:
        folder, levels = export_run(
            run,
            to=to,
            precision=precision,
            source=_source(run, data, split, data_format),
            out=out,
            tolerance=tolerance,
            say=say,
            watch=lambda things: bar.track(things, description="comparing"),
        )
    _print(folder, levels, as_json)
    if not as_json:
        name = escape(str(folder))
        print_line(f"[bold]{name}[/]; use it: delineate predict {name} PICTURES")


def check(
    export: Annotated[Path, typer.Argument(metavar="EXPORT", help="Folder that `delineate export` wrote.")],
    run: Annotated[
        Path | None, typer.Option(help="Run that was exported; if not given, the one that it was exported from.")
    ] = None,
    data: OwnData = None,
    split: OwnSplit = None,
    data_format: Format = None,
    tolerance: Tolerance = None,
    as_json: AsJson = False,
) -> None:
    """Compare an export with its run again, on the machine where it is to run, and write its verdict anew."""
    from delineate.export.exporting import check_export

    with progress() as bar:
        levels = check_export(
            export,
            run=run,
            source=_source(run or export, data, split, data_format),
            tolerance=tolerance,
            say=say,
            watch=lambda things: bar.track(things, description="comparing"),
        )
    _print(export, levels, as_json)


def _source(run: Path, data: Path | None, split: str | None, data_format: str | None) -> "Source | None":
    from delineate.evaluation import source_of

    if data is None and data_format is not None:
        raise InputError("format: the run knows that of its own data; leave it out, or name --data")
    return None if data is None and split is None else source_of(run, data, split, data_format)


def _print(folder: Path, levels: "tuple[Level, ...]", as_json: bool) -> None:
    if as_json:
        print_json({"export": str(folder), "levels": [asdict(level) | {"passed": level.passed} for level in levels]})
