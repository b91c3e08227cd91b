"""The names of a run's files.

settings.json                     everything needed to run it again
trained_on.txt                    the pictures that are trained on
held_out.txt                      those that are not, where the data have no split to validate on
metrics.csv, curves.png           losses and metrics of every epoch
predictions.png                   a few validation pictures: picture, truth, prediction
regression/                       of systems that say where the one object is: how that moved, epoch by epoch
best.safetensors, last.safetensors, and the same names .json
resume.ckpt                       the state to go on from
tensorboard/                      the same numbers for TensorBoard
exports/TO-PRECISION/             graphs for other runtimes (artefact/record.py), unless they are written elsewhere
"""

import json
from contextlib import suppress
from pathlib import Path

from delineate.values import InputError

HELD_OUT = "held_out.txt"
TRAINED_ON = "trained_on.txt"
RECORD = "system.json"
"""It is in every folder of an export."""


def check_new_run(folder: Path) -> None:
    """Raise `InputError` where `folder` has a run, or weights, in it already."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out: {folder} is a file; name a folder")
    for name in ("settings.json", "best.safetensors", "last.safetensors"):
        if (folder / name).exists():
            raise InputError(f"out: {folder} is a run already ({name}); name another folder")


def find_checkpoint(run: Path, weights: str = "best") -> Path:
    """Find the weights that a run folder, or the file itself, stands for; raises `InputError` when there are none."""
    if run.is_file():
        return run
    if not run.is_dir():
        raise InputError(f"{run}: no such run; give the folder that `delineate train` wrote, or a .safetensors file")
    file = run / f"{weights}.safetensors"
    if not file.is_file() and (run / RECORD).is_file():
        raise InputError(
            f"{run}: an export, whose graph can neither be looked into nor trained; name its run, {_origin(run)}"
        )
    if not file.is_file():
        raise InputError(f"{run}: not a run folder with weights (looked for {file.name}, which training writes)")
    return file


def _origin(export: Path) -> str:
    """Say what an export came from, as its record does."""
    with suppress(ValueError, LookupError, TypeError):
        return str(json.loads((export / RECORD).read_text(encoding="utf-8"))["run"])
    return "which its record should tell"
