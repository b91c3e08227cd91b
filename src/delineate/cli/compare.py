"""`delineate compare DATA` and `delineate report DIR`: the question which system serves these pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from delineate.cli.output import AsJson, Device, number, print_json, print_line, print_table, stderr, table

if TYPE_CHECKING:
    from delineate.study import Result, Study


def compare(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder (or COCO .json) of labelled pictures.")],
    out: Annotated[Path, typer.Option(help="Folder of the study; call again with it to go on.")],
    task: Annotated[
        Literal["detect", "instance", "segment", "keypoints"], typer.Option(help="What is to be found.")
    ] = "detect",
    budget_minutes: Annotated[float, typer.Option(min=0.01, help="Training time of all systems together.")] = 60,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="Systems, with commas between; some of every family if not given. A system's own options follow it "
            "after colons: ssd:smallest_scale=0.08."
        ),
    ] = None,
    backbones: Annotated[list[str] | None, typer.Option(help="Backbones, with commas between.")] = None,
    image_sizes: Annotated[
        list[str] | None, typer.Option(help="Sides of the square, or else the shorter side, in pixels, with commas.")
    ] = None,
    upsamplers: Annotated[list[str] | None, typer.Option(help="Upsamplers, with commas between.")] = None,
    proposers: Annotated[list[str] | None, typer.Option(help="Proposers, with commas between.")] = None,
    fair: Annotated[
        Literal["time", "images"], typer.Option(help="What is equal: training time, or the pictures seen.")
    ] = "time",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each system, for the spread.")] = 1,
    train_split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    split: Annotated[str, typer.Option(help="Split to measure on.")] = "val",
    data_format: Annotated[
        str | None, typer.Option("--format", help="Layout of the data; found out if not given.")
    ] = None,
    device: Device = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and how long it takes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train several systems on your pictures under equal conditions, measure them, and recommend.

    Every system gets the same share of the budget, the same pictures, schedule and seed. OUT gets results.csv,
    results.json, and report.html with the trade-off of accuracy and speed. What is finished is kept when it is called
    again; a system that fails is said, and the others go on.
    """
    from delineate.study import Study, grid
    from delineate.study import compare as run_study
    from delineate.study.grid import TASKS
    from delineate.study.page import write_study
    from delineate.study.results import flat_row
    from delineate.training.data import read_split

    entries = grid(
        task,
        models=_several(models),
        backbones=_several(backbones),
        image_sizes=_sizes(image_sizes),
        upsamplers=_several(upsamplers),
        proposers=_several(proposers),
    )
    study = Study(
        data=data,
        question=task,
        entries=entries,
        minutes=budget_minutes,
        fair=fair,
        seeds=seeds,
        train_split=train_split,
        split=split,
        format=data_format,
        device=device,
    )
    if dry_run:
        _print_plan(study, as_json)
        return
    findings = run_study(study, out, say=lambda line: stderr.print(escape(line), soft_wrap=True))
    if findings.results:
        write_study(out / "report.html", findings, read_split(data, split, TASKS[task], data_format))
    if as_json:
        rows = [flat_row(result) for result in findings.results]
        print_json({"out": str(out), "results": rows, "failures": dict(findings.failures)})
    else:
        _print_results(findings.results)
        if findings.results:
            print_line(f"open [bold]{escape(str(out / 'report.html'))}[/]")
    if findings.failures:
        raise typer.Exit(2)


def _several(values: list[str] | None) -> list[str]:
    """What was given with commas, or by the option more than once."""
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]


def _sizes(values: list[str] | None) -> list[int]:
    from delineate.values import InputError

    sizes = _several(values)
    for size in sizes:
        if not size.isdigit() or int(size) < 1:
            raise InputError(f"image_sizes: '{size}' is no number of pixels")
    return [int(size) for size in sizes]


def report(
    studies: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders that `compare` wrote.")],
    out: Annotated[Path | None, typer.Option(help="The page; DIR/report.html of the first if not given.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Write the scatter of accuracy and speed, as .svg or .png.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a study again, or of several together; their data is looked for where it was."""
    from delineate.study.page import read_findings, write_plot, write_study

    findings = read_findings(studies)
    page = out or studies[0] / "report.html"
    write_study(page, findings, _dataset(studies[0]))
    if plot is not None:
        write_plot(plot, findings.results)
    if as_json:
        print_json({"report": str(page), "plot": None if plot is None else str(plot)})
        return
    _print_results(findings.results)
    print_line(f"open [bold]{escape(str(page))}[/]")


def _dataset(study: Path) -> Any:
    """The pictures that a study was measured on; `None` where they are not there any more."""
    import json

    from delineate.study.grid import TASKS
    from delineate.training.data import read_split
    from delineate.values import InputError

    if not (study / "study.json").is_file():
        stderr.print(f"[yellow]without pictures:[/] {escape(str(study))} has no study.json", soft_wrap=True)
        return None
    record = json.loads((study / "study.json").read_text(encoding="utf-8"))
    try:
        return read_split(Path(record["data"]), record["split"], TASKS[record["question"]], record["format"])
    except InputError as error:
        stderr.print(f"[yellow]without pictures:[/] {escape(str(error))}", soft_wrap=True)
        return None


def _print_plan(study: "Study", as_json: bool) -> None:
    share = study.share
    if as_json:
        plan = [{"name": entry.name, "minutes": share * study.seeds} for entry in study.entries]
        print_json({"entries": plan, "minutes": study.minutes, "seeds": study.seeds, "fair": study.fair})
        return
    rows = table("system", "minutes")
    rows.columns[1].justify = "right"
    for entry in study.entries:
        rows.add_row(escape(entry.name), f"{share * study.seeds:.3g}")
    print_table(rows)
    seeds = f", {study.seeds} seeds each" if study.seeds > 1 else ""
    print_line(
        f"{len(study.entries)} systems{seeds}: {study.minutes:g} minutes of training; measuring, selective search and "
        "SVMs come on top"
    )


def _print_results(results: "Sequence[Result]") -> None:
    from delineate.study import recommendations

    rows = table("system", "", "pictures/s", "M parameters", "GFLOPs")
    for column in rows.columns[1:]:
        column.justify = "right"
    for result in sorted(results, key=lambda its: -its.accuracy):
        rows.columns[1].header = result.metric
        rows.add_row(
            escape(result.name),
            number(result.accuracy),
            f"{result.throughput:.3g}",
            f"{result.parameters / 1e6:.3g}",
            f"{result.flops / 1e9:.3g}",
        )
    print_table(rows)
    for line in recommendations(results):
        print_line(escape(line))
