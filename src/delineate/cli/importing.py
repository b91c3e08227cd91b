"""`delineate import ARCHITECTURE` makes a run of weights that another project published."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from delineate.cli.options import AsJson
from delineate.cli.output import print_json, print_line


def import_weights(
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="ARCHITECTURE|FILE",
            help="What to import. From torchvision: the name of a detector, such as maskrcnn_resnet50_fpn. From "
            "Transformers: the file of DETR's weights. From Darknet: the .cfg file of a YOLO.",
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="File of the weights; without it torchvision's published ones are downloaded."
        ),
    ] = None,
    source: Annotated[
        Literal["torchvision", "transformers", "darknet"],
        typer.Option("--from", help="The project that the weights come from."),
    ] = "torchvision",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the run to; runs/ARCHITECTURE if not given.")
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(metavar="FILE.txt", help="Text file with the names of the classes, one a line, no background."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import a detector that another project published, as a run like those that `train` writes.

    It can be used by `predict`, `val` and `propose`, and trained further with `train --weights`.
    """
    from delineate.data.files import read_text
    from delineate.io.runs import check_new_run
    from delineate.system.importers import import_darknet, import_torchvision, import_transformers
    from delineate.values import InputError

    folder = out or Path("runs") / Path(architecture).stem
    check_new_run(folder)
    lines = None if classes is None else read_text(classes).splitlines()
    names = None if lines is None else [line.strip() for line in lines if line.strip()]
    if source == "torchvision":
        system = import_torchvision(architecture, file, class_names=names)
    elif source == "darknet":
        if file is None:
            raise InputError(f"{architecture}: give its weights, too: delineate import --from darknet CFG WEIGHTS")
        system = import_darknet(Path(architecture), file, class_names=names)
    else:
        system = import_transformers(file or Path(architecture), class_names=names)
    for weights in ("best", "last"):
        system.save(folder / f"{weights}.safetensors")
    class_names = system.categories.class_names
    if as_json:
        print_json({"run": str(folder), "from": source, "system": system.name, "class_names": class_names})
        return
    name = escape(str(folder))
    print_line(f"{system.name} of {len(class_names)} classes: {escape(_listed(class_names))}")
    print_line(f"[bold]{name}[/]; use it: delineate predict {name} PICTURES")


def _listed(names: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
