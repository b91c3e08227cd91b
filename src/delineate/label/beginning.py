"""Training begins with what is served: its system, its weights, and the pictures that it was not trained on."""

from contextlib import suppress
from pathlib import Path

from delineate.artefact import is_export, read_record
from delineate.data.folders import home_of
from delineate.data.lists import PictureList
from delineate.io.runs import HELD_OUT, find_checkpoint
from delineate.system.catalog import find_entry, options
from delineate.system.checkpoint import read_facts
from delineate.training.runs import Run
from delineate.values import InputError, Task

FRESH = {"detect": "ssd", "instance": "mask_rcnn", "keypoints": "keypoint_rcnn", "segment": "unet"}
"""These systems are trained where there is no model yet: each learns what its task marks."""


def held_out_of(run: Path | None) -> PictureList | None:
    """Find the list of the pictures that a run held out of its data, where it did."""
    if run is None or is_export(run):
        return None
    with suppress(InputError):
        folder = find_checkpoint(run).parent
        if (folder / HELD_OUT).is_file():
            return PictureList(folder / HELD_OUT, home_of(Run(folder).settings().data))
    return None


def weights_of(run: Path | None, task: Task) -> Path | None:
    """Find the weights that training goes on from: those of a run, or of the run that an export is of.

    There are none where they are gone, or of a system of another task.
    """
    if run is None:
        return None
    with suppress(InputError):
        origin = Path(read_record(run).run) if is_export(run) else run
        return origin if find_entry(read_facts(find_checkpoint(origin)).system).task.name == task.name else None
    return None


def what_begins(task: Task, model: str | None, weights: Path | None) -> tuple[str, list[str]]:
    """Say which system is trained, and what it begins with."""
    if weights is not None:
        return read_facts(find_checkpoint(weights)).system, ["--weights", str(weights)]
    name = model or FRESH[task.name]
    if find_entry(name).task.name != task.name:
        raise InputError(f"model: {name} is of the task {find_entry(name).task.name}, and this is {task.name}")
    return name, ["--pretrained", "auto"] if "backbone" in options(name) else []
