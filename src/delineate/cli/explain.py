"""`delineate explain RUN PICTURE`: what a system did, stage by stage."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delineate.cli.output import AsJson, Device, print_json, print_line


def explain(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a training run, or a .safetensors file of one.")
    ],
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="The picture.")],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The page.")] = Path("explanation.html"),
    min_score: Annotated[float, typer.Option(min=0, max=1, help="From which score on something counts.")] = 0.5,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Show on one page what a run did with a picture, stage by stage.

    Of region systems proposals, crops or feature maps, scores before NMS and after, masks and heatmaps; of grid systems
    the cells or default boxes that fired; of DETR what its queries look at; of dense systems the way back to full size,
    scores by class and entropy; of systems for whole pictures what their heads see.
    """
    from delineate.data.images import read_image
    from delineate.deploy import Predictor
    from delineate.evaluation.report import system_fact
    from delineate.study.explain import explain as explain_picture
    from delineate.study.explain import write_explanation
    from delineate.system.checkpoint import find_checkpoint, read_facts
    from delineate.training import Run
    from delineate.values import InputError

    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"out: {out} does not end with .html, which is what is written")
    file = find_checkpoint(run)
    facts = read_facts(file)
    predictor = Predictor.load(file, device=device)
    regression = Run(file.parent).regression
    stages = explain_picture(predictor, read_image(picture), score=min_score, regression=regression)
    title = f"{facts['system']} on {picture.name}"
    write_explanation(out, stages, title=title, facts=system_fact(facts["system"], facts["arguments"]))
    if as_json:
        print_json({"page": str(out), "stages": [stage.title for stage in stages]})
        return
    for number, stage in enumerate(stages, 1):
        print_line(f"[bold]{number} {escape(stage.title)}[/]  {escape(stage.line)}")
    print_line(f"open [bold]{escape(str(out))}[/]")
