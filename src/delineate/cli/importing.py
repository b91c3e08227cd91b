"""`delineate import ARCHITECTURE`: published weights of other projects, as a run."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from delineate.cli.output import AsJson, print_json, print_line


def import_weights(
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="ARCHITECTURE|FILE",
            help="torchvision's name: maskrcnn_resnet50_fpn, ...; Transformers' file of DETR; Darknet's YOLO.cfg.",
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Its weights; if not given the published ones, which are downloaded."),
    ] = None,
    source: Annotated[
        Literal["torchvision", "transformers", "darknet"], typer.Option("--from", help="The project.")
    ] = "torchvision",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/ARCHITECTURE if not given.")] = None,
    classes: Annotated[
        Path | None,
        typer.Option(metavar="FILE.txt", help="Names of the classes of FILE, one a line, without background."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import a published detector as a run: for `predict`, `val`, `propose`, and to begin from: `train --weights`."""
    from delineate.data.files import read_text
    from delineate.system.checkpoint import check_new_run, save_run
    from delineate.system.importers import import_darknet, import_torchvision, import_transformers
    from delineate.values import InputError

    folder = out or Path("runs") / Path(architecture).stem
    check_new_run(folder)
    lines = None if classes is None else read_text(classes).splitlines()
    names = None if lines is None else [line.strip() for line in lines if line.strip()]
    if source == "torchvision":
        checkpoint = import_torchvision(architecture, file, class_names=names)
    elif source == "darknet":
        if file is None:
            raise InputError(f"{architecture}: give its weights, too: delineate import --from darknet CFG WEIGHTS")
        checkpoint = import_darknet(Path(architecture), file, class_names=names)
    else:
        checkpoint = import_transformers(file or Path(architecture), class_names=names)
    save_run(folder, checkpoint)
    found = checkpoint.categories.class_names
    if as_json:
        print_json({"run": str(folder), "from": source, "system": checkpoint.system, "class_names": found})
        return
    name = escape(str(folder))
    print_line(f"{checkpoint.system} of {len(found)} classes: {escape(_listed(found))}")
    print_line(f"[bold]{name}[/]; use it: delineate predict {name} PICTURES")


def _listed(names: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
