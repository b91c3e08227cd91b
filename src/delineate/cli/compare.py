"""`delineate compare DATA` and `delineate report DIR` answer which system, or which export, serves these pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from delineate.cli.options import AsJson, Data, Device, Format, SkipUnreadable, Split
from delineate.cli.output import number, print_json, print_line, print_table, say, stderr, table

if TYPE_CHECKING:
    from delineate.study import Result, Study

TaskName = Literal["segment", "localize", "pose", "detect", "instance", "keypoints"]


def _tried(parts: str, systems: str) -> Any:
    return typer.Option(help=f"{parts} to try in {systems}, separated by commas.")


def compare(
    data: Data,
    out: Annotated[
        Path, typer.Option(help="Folder to write the study to. Called again with the same folder, it continues.")
    ],
    task: Annotated[
        TaskName | None,
        typer.Option(
            help="What the systems are to find: segment: the class of each pixel; localize: the one object of a "
            "picture; pose: the joints of one body; detect: boxes; instance: boxes and masks; keypoints: boxes and "
            "poses. If not given, what --runs find, or else detect."
        ),
    ] = None,
    budget_minutes: Annotated[
        float, typer.Option(min=0.01, help="Minutes of training for all systems together; each gets the same share.")
    ] = 60,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="Names of systems, separated by commas; a few of every family if not given. A system's own options "
            "follow the name after colons: ssd:smallest_scale=0.08."
        ),
    ] = None,
    backbones: Annotated[list[str] | None, _tried("Backbones", "every system")] = None,
    image_sizes: Annotated[
        list[str] | None,
        typer.Option(
            help="Picture sizes to try, in pixels, separated by commas: the side of the square for systems that resize "
            "pictures to a square, the shorter side for all others."
        ),
    ] = None,
    upsamplers: Annotated[list[str] | None, _tried("Upsamplers", "segmentation systems")] = None,
    proposers: Annotated[list[str] | None, _tried("Proposers", "two-stage detectors")] = None,
    runs: Annotated[
        list[str] | None,
        typer.Option(
            help="Runs, and folders that `delineate export` wrote, separated by commas, to measure as they are on the "
            "same pictures. Without anything to train (--models and the like), these alone are compared."
        ),
    ] = None,
    fair: Annotated[
        Literal["time", "images"],
        typer.Option(help="What all systems get the same of: training time, or pictures seen in training."),
    ] = "time",
    seeds: Annotated[
        int, typer.Option(min=1, help="How often to train each system, with other random numbers, to see the spread.")
    ] = 1,
    lighter: Annotated[
        bool,
        typer.Option(
            "--lighter",
            help="Train each system in the lighter form that `train` takes where minutes are few: smaller "
            "pictures or networks, varied less, so that each is seen more often.",
        ),
    ] = False,
    pretrained: Annotated[
        Literal["none", "auto", "download"],
        typer.Option(
            help="What backbones begin with, as in `train`: nothing, ImageNet weights here, or timm's. Systems without "
            "a choice of backbones begin from scratch."
        ),
    ] = "none",
    train_split: Annotated[str, typer.Option(help="Part of the data set to train on.")] = "train",
    split: Split = "val",
    data_format: Format = None,
    skip_unreadable: SkipUnreadable = False,
    device: Device = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing; say what is in the data, and list the systems.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train several systems on your pictures under equal conditions, measure them, and recommend.

    Every system gets the same share of the budget, the same pictures, schedule and seed. What --runs names is not
    trained, and measured beside them: so a run and its exports stand in one table. The folder OUT gets results.csv,
    results.json, and report.html, which shows the trade-off of accuracy and speed. Called again, the command keeps what
    is finished. Where a system fails, the error is printed and the others go on.
    """
    from delineate.study import Study, grid, name_given
    from delineate.study import compare as run_study
    from delineate.study.given import task_of
    from delineate.study.page import write_study
    from delineate.study.pictures import check, measured_data
    from delineate.study.results import flat_row

    paths = [Path(path) for path in _several(runs)]
    asked = task or (task_of(paths) if paths else "detect")
    axes: dict[str, Any] = {
        "models": _several(models),
        "backbones": _several(backbones),
        "image_sizes": _sizes(image_sizes),
        "upsamplers": _several(upsamplers),
        "proposers": _several(proposers),
    }
    entries = grid(asked, **axes) if any(axes.values()) or not paths else []
    study = Study(
        data=data,
        task=asked,
        entries=entries,
        runs=name_given(paths, entries, out),
        minutes=budget_minutes,
        fair=fair,
        seeds=seeds,
        lighter=lighter,
        train_split=train_split,
        split=split,
        format=data_format,
        skip_unreadable=skip_unreadable,
        device=device,
        settings=None if pretrained == "none" else {"pretrained": pretrained},
    )
    if dry_run:
        check(study, out, say)
        _print_plan(study, as_json)
        return
    findings = run_study(study, out, say=say)
    if findings.results:
        write_study(out / "report.html", findings, measured_data(out))
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
    """Split what was given with commas, or by the option more than once."""
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]


def _sizes(values: list[str] | None) -> list[int]:
    from delineate.values import InputError

    sizes = _several(values)
    for size in sizes:
        if not size.isdigit() or int(size) < 1:
            raise InputError(f"image_sizes: '{size}' is no number of pixels")
    return [int(size) for size in sizes]


def report(
    studies: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders that `delineate compare` wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write the page to; report.html in the first DIR if not given.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", help="Also write the plot of accuracy against speed, as .svg or .png."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a study again, or one of several studies together.

    Pictures are shown where the data of the first study is still where it was.
    """
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
    """Read the pictures that a study was measured on; `None` where they are gone."""
    from delineate.study.pictures import measured_data
    from delineate.values import InputError

    try:
        return measured_data(study)
    except InputError as error:
        stderr.print(f"[yellow]without pictures:[/] {escape(str(error))}", soft_wrap=True)
        return None


def _print_plan(study: "Study", as_json: bool) -> None:
    from delineate.values import counted

    minutes = study.minutes / max(len(study.entries), 1)
    if as_json:
        plan = [{"name": entry.name, "minutes": minutes} for entry in study.entries]
        runs = {name: str(path) for name, path in study.runs.items()}
        values = {"entries": plan, "runs": runs, "minutes": study.minutes, "seeds": study.seeds, "fair": study.fair}
        print_json(values)
        return
    rows = table("system", numbers=["minutes"])
    for entry in study.entries:
        rows.add_row(escape(entry.name), f"{minutes:.3g}")
    for name in study.runs:
        rows.add_row(escape(name), number(None))
    print_table(rows)
    seeds = f", {study.seeds} seeds each" if study.seeds > 1 else ""
    if study.entries:
        print_line(
            f"{len(study.entries)} systems{seeds}: {study.minutes:g} minutes of training; measuring, selective search "
            "and SVMs come on top"
        )
    if study.runs:
        print_line(f"{counted(len(study.runs), 'system')} trained before: measured as they are")


def _print_results(results: "Sequence[Result]") -> None:
    from delineate.study import recommendations

    metric = results[0].metric if results else ""
    rows = table("system", numbers=(metric, "pictures/s", "M parameters", "GFLOPs"))
    for result in sorted(results, key=lambda result: -result.accuracy):
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
