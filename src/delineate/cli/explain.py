"""`delineate explain RUN PICTURE` shows what a system did, stage by stage."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delineate.cli.operating import taken_from
from delineate.cli.options import AsJson, Device, Run
from delineate.cli.output import print_json, print_line, say
from delineate.values.thresholds import MIN_SCORE


def explain(
    run: Run,
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="File of the picture to explain.")],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="File to write the page to.")] = Path(
        "explanation.html"
    ),
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Show only objects, boxes and cells that score at least this; if not given, what `delineate "
            f"calibrate` chose for each class, or {MIN_SCORE}.",
        ),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Show on one page what a trained system does with a picture, stage by stage.

    Two-stage detectors show proposals, crops or feature maps, scores before and after NMS, masks and heatmaps;
    one-stage detectors the cells or default boxes that fired; DETR what its queries look at; segmentation systems the
    way back to full size, the scores of each class and where they are unsure; localizers and pose regressors what their
    heads see.
    """
    from delineate.data.images import read_image
    from delineate.evaluation.report import system_fact
    from delineate.io.machine import find_device
    from delineate.io.runs import find_checkpoint
    from delineate.study.explain import explain as explain_picture
    from delineate.study.explain import origin, write_explanation
    from delineate.system.system import System
    from delineate.training import Run as RunFolder
    from delineate.values import InputError

    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"out: {out} does not end with .html, which is what is written")
    file = find_checkpoint(run)
    system = System.load(file, find_device(device))
    regression = RunFolder(file.parent).regression
    for line in taken_from(run) if min_score is None else ():
        say(line)
    stages = explain_picture(system, read_image(picture), score=min_score, regression=regression)
    title = f"{system.name} on {picture.name}"
    facts = system_fact(system.name, system.arguments)
    write_explanation(out, stages, title=title, facts=facts, origin=origin(system.name))
    if as_json:
        print_json({"page": str(out), "stages": [stage.title for stage in stages]})
        return
    for number, stage in enumerate(stages, 1):
        print_line(f"[bold]{number} {escape(stage.title)}[/]  {escape(stage.line)}")
    print_line(f"open [bold]{escape(str(out))}[/]")
