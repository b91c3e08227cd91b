"""`delineate label FOLDER` opens the page on raw pictures, or on a data set, and trains on what is marked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from delineate.cli.options import Device
from delineate.cli.output import say
from delineate.cli.serve import AllowHost, Host, Port, Token, announce, named_runs
from delineate.values import InputError

if TYPE_CHECKING:
    from starlette.applications import Starlette

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="Folder of pictures, or of a data set in any layout that is read. What is marked is kept in it, and what "
        "was there stays as it is.",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME",
        help="Classes of what is marked in raw pictures, with commas between; a data set and --run bring their own, "
        "and a folder that was opened before need not be told again.",
    ),
]
TaskName = Annotated[
    Literal["detect", "instance", "keypoints", "segment"] | None,
    typer.Option(
        help="What is marked: boxes, masks, keypoints, or the class of every pixel. If not given, what --run finds, or "
        "most of what a data set has, or boxes."
    ),
]
Keypoints = Annotated[
    str | None, typer.Option(metavar="NAME,NAME", help="Names of the keypoints, for --task keypoints of raw pictures.")
]
Skeleton = Annotated[
    str | None,
    typer.Option(metavar="NAME-NAME,...", help="Keypoints that a line joins, as in nose-neck,neck-tail."),
]
Runs = Annotated[
    list[str] | None,
    typer.Option(
        "--run",
        help="Run or export that marks pictures and is trained on; with a second one, pictures come first in which "
        "both disagree.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="System that is trained where there is no --run; if not given, ssd, mask_rcnn, keypoint_rcnn or unet, by "
        "the task."
    ),
]
Minutes = Annotated[float, typer.Option(min=0.01, help="Minutes that a training takes where the page says no others.")]
FirstAfter = Annotated[
    int,
    typer.Option(
        min=0,
        help="Pictures that are done after which a first model is trained by itself, where there is none; 0 waits for "
        "the page's button.",
    ),
]


def label(
    folder: Folder,
    classes: Classes = None,
    task: TaskName = None,
    keypoints: Keypoints = None,
    skeleton: Skeleton = None,
    run: Runs = None,
    model: Model = None,
    minutes: Minutes = 5.0,
    first_after: FirstAfter = 24,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    allow_host: AllowHost = None,
    device: Device = "auto",
) -> None:
    """Mark pictures on a page, let a model help, and train on what was marked.

    Every change is kept at once in FOLDER/.delineate. Raw pictures that are done become a COCO data set in FOLDER,
    which `delineate train` reads as it is; what is corrected of a data set lies in FOLDER/.delineate/corrected.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name one with pictures")
    runs = named_runs(run or [])
    names, joints = _split(classes), _split(keypoints)
    edges = _edges(skeleton, joints)
    try:
        from delineate.serve.running import log_to_stderr, run_server, token_for
    except ImportError as error:
        raise InputError(f"{error.name}: it is not installed; pip install 'delineate[serve]'") from error
    secret = token_for(host, token)

    def make() -> "Starlette":
        from delineate.label import open_labels
        from delineate.label.opening import Naming
        from delineate.serve import ServedModels, make_app

        log_to_stderr()
        models = ServedModels(runs, device=device)
        labels = open_labels(
            folder,
            models,
            naming=Naming(classes=names, task=task, keypoints=joints, skeleton=edges),
            first_after=first_after,
            minutes=minutes,
            model=model,
            device=device,
        )
        for note in labels.notes:
            say(note)
        return make_app(models, labels, token=secret, hosts=tuple(allow_host or ()))

    run_server(make, host=host, port=port, announce=lambda address: announce(address, secret, {folder.name: folder}))


def _split(names: str | None) -> list[str]:
    return [] if names is None else [name.strip() for name in names.split(",") if name.strip()]


def _edges(skeleton: str | None, names: Sequence[str]) -> list[tuple[int, int]]:
    """Read pairs of keypoints by their names, which may have a hyphen themselves."""
    edges = []
    for text in _split(skeleton):
        pairs = [(text[:place], text[place + 1 :]) for place, letter in enumerate(text) if letter == "-"]
        known = [(names.index(a), names.index(b)) for a, b in pairs if a in names and b in names]
        if len(known) != 1:
            raise InputError(f"skeleton: '{text}' is not two of the keypoints {', '.join(names)} with '-' between")
        edges += known
    return edges
