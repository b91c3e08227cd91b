"""`delineate import ARCHITECTURE` makes a run of a detector that another project trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from delineate.cli.options import AsJson
from delineate.cli.output import print_json, print_line

if TYPE_CHECKING:
    from delineate.system.system import System


def import_weights(
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="ARCHITECTURE|FILE",
            help="What to import. From torchvision: the name of a detector, such as maskrcnn_resnet50_fpn, with FILE "
            "of any backbone in place of resnet50. From Transformers: the file of weights of DETR, RT-DETR or D-FINE. "
            "From Darknet: the .cfg file of a YOLO.",
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
    short_side: Annotated[
        int | None, typer.Option(min=1, help="torchvision's min_size, where it was not 800; no file says it.")
    ] = None,
    long_side: Annotated[
        int | None, typer.Option(min=1, help="torchvision's max_size, where it was not 1333; no file says it.")
    ] = None,
    mean: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="torchvision's image_mean, where it was not ImageNet's; no file says it."),
    ] = None,
    std: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="torchvision's image_std, where it was not ImageNet's; no file says it."),
    ] = None,
    anchor_size: Annotated[
        int | None,
        typer.Option(min=1, help="Side of torchvision's smallest anchors, where it was not 32; no file says it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import a detector that another project published, or that you trained with it, as a run that `train` writes.

    It can be used by `predict`, `val` and `propose`, and trained further with `train --weights`.
    """
    from delineate.data.files import read_text
    from delineate.io.runs import check_new_run
    from delineate.values import InputError

    folder = out or Path("runs") / Path(architecture).stem
    check_new_run(folder)
    lines = None if classes is None else read_text(classes).splitlines()
    names = None if lines is None else [line.strip() for line in lines if line.strip()]
    asked = {"short_side": short_side, "long_side": long_side, "mean": mean, "std": std, "anchor_size": anchor_size}
    not_in_the_file = {name: value for name, value in asked.items() if value is not None}
    if source != "torchvision" and not_in_the_file:
        raise InputError(f"{next(iter(not_in_the_file))}: goes with weights of torchvision; leave it out")
    system = _imported(source, architecture, file, names, not_in_the_file)
    for weights in ("best", "last"):
        system.save(folder / f"{weights}.safetensors")
    class_names = system.categories.class_names
    if as_json:
        print_json({"run": str(folder), "from": source, "system": system.name, "class_names": class_names})
        return
    name = escape(str(folder))
    print_line(f"{system.name} of {len(class_names)} classes: {escape(_listed(class_names))}")
    print_line(f"[bold]{name}[/]; use it: delineate predict {name} PICTURES")


def _imported(
    source: str, architecture: str, file: Path | None, names: list[str] | None, not_in_the_file: dict[str, Any]
) -> "System":
    """Read the weights of another project, and what is `not_in_the_file` of a detector of torchvision."""
    from delineate.system.importers import import_darknet, import_torchvision, import_transformers
    from delineate.values import InputError

    if source == "transformers":
        return import_transformers(file or Path(architecture), class_names=names)
    if source == "darknet":
        if file is None:
            raise InputError(f"{architecture}: give its weights, too: delineate import --from darknet CFG WEIGHTS")
        return import_darknet(Path(architecture), file, class_names=names)
    anchor_size = not_in_the_file.pop("anchor_size", None)
    return import_torchvision(
        architecture, file, class_names=names, anchor_size=anchor_size, preprocess=not_in_the_file
    )


def _listed(names: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
