"""Several commands share these arguments and options."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from delineate.io.runs import find_checkpoint
from delineate.values import InputError, formats


def _existing(data: Path | None) -> Path | None:
    """Raise `InputError` for data that is not there before anything else is done, such as importing torch."""
    if data is not None and not data.exists():
        raise InputError(f"{data}: there is no such folder")
    return data


def _existing_run(run: Path) -> Path:
    """Raise `InputError` for a run that is not there, as `_existing` does."""
    if not run.exists():
        find_checkpoint(run)
    return run


AsJson = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON to stdout, for programs; all else goes to stderr.")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto takes a CUDA GPU if there is one.")
]
Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        callback=_existing_run,
        help="Folder that `delineate train` wrote, or a .safetensors file of weights in it.",
    ),
]
RunOrExport = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        callback=_existing_run,
        help="Folder that `delineate train` or `delineate export` wrote, or a .safetensors file of weights.",
    ),
]
Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        callback=_existing,
        help="Folder of labelled pictures, or the .json file of a COCO data set.",
    ),
]
Format = Annotated[
    str | None,
    typer.Option("--format", help=f"Layout of the data: {formats.READ}. Recognised by itself if not given."),
]
SkipUnreadable = Annotated[
    bool,
    typer.Option("--skip-unreadable", help="Leave out pictures that cannot be read, and count them."),
]
Split = Annotated[str, typer.Option(help="Part of the data set to measure on.")]
OwnSplit = Annotated[
    str | None,
    typer.Option(
        help="Part of the data to measure on; if not given, val, or of the run's own data what it was validated on, "
        "which may be pictures that it held out."
    ),
]
Workers = Annotated[int, typer.Option(min=0, help="How many processes read pictures; 0 reads them in this one.")]
NmsIou = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Of two boxes of a class that overlap by more than this (intersection over union), only the one with the "
        "higher score stays; 1 keeps all. If not given, the system's own value, usually 0.5.",
    ),
]
MaxCandidates = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many boxes of each class, those of a picture with the highest scores, are compared for overlap; the "
        "others are dropped. If not given, the system's own value.",
    ),
]
Tile = Annotated[
    int | None,
    typer.Option(min=1, help="Find what is in pictures in square tiles of this many pixels, as predict."),
]
OVERLAP = 64
Overlap = Annotated[int, typer.Option(min=0, help="Pixels by which neighbouring tiles overlap.")]
ClassAgnostic = Annotated[
    bool,
    typer.Option(
        "--class-agnostic", help="Let the best of boxes that overlap by more than --nms-iou stay, whatever their class."
    ),
]
MaxDetections = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="The most objects to give for a picture, or a tile. If not given, the system's own value, usually 100. "
        "`val` then counts as many of each class, where that is more than COCO's 100.",
    ),
]
