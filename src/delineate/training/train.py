"""Train from settings, or go on with a run that was stopped."""

from collections.abc import Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from delineate.data.dataset import Dataset
from delineate.data.splits import left_out
from delineate.io.machine import find_device
from delineate.nn.norms import share_norms, take_single_values
from delineate.system.catalog import find_entry
from delineate.training.backbones import find_published, from_scratch
from delineate.training.begun import Begun
from delineate.training.budget import seldom, within_budget
from delineate.training.building import build_loader, build_training
from delineate.training.data import remember_held_out, remember_trained_on, training_data
from delineate.training.display import Display
from delineate.training.earlier import as_asked
from delineate.training.interrupt import Interrupt, Interrupted
from delineate.training.learner import make_fabric, make_learner
from delineate.training.loop import train_epochs
from delineate.training.outputs import Outputs
from delineate.training.processes import (
    as_launched,
    create_run,
    is_of_another_process,
    shared_among,
    unused_tasks,
)
from delineate.training.recording import Session
from delineate.training.runs import Run, begins_again
from delineate.training.settings import TrainingSettings
from delineate.training.stages import fit_after_training
from delineate.training.state import State, measured
from delineate.training.tracking import Tracking, check_logger
from delineate.values import InputError, counted
from delineate.viz import illegible


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """A run gives its folder, the metrics of what is kept as best, and what it took (of training alone).

    Where several processes train together, the results are the same in all; the first one has the `rank` 0.
    """

    folder: Path
    metrics: dict[str, float]
    seconds: float
    pictures: int
    rank: int = 0


def train(settings: TrainingSettings, *, lighter: bool = True) -> TrainingResult:
    """Train a system and keep everything in the run's folder.

    Where its minutes are few, it may take the system's lighter form, and says so; not with `lighter=False`.

    Progress goes to standard error. Ctrl-C saves the state and the weights, says how to go on, and raises
    `KeyboardInterrupt`. Raises `InputError` for what is wrong in the settings or the data, before the folder is made,
    and when the loss is no number, with the names of the pictures.
    """
    settings, found = find_published(settings)
    given = {*settings.model_fields_set, *settings.arguments} if lighter else None
    settings, notes = as_asked(settings)
    return _run(settings, None, [*found, *begins_again(settings), *notes], given)


def resume(folder: Path, **given: Any) -> TrainingResult:
    """Go on with a run that was stopped or killed; on a CPU, and by epochs, it ends as if it never had been.

    A run goes on as it began: settings that are given have to be its own, but for `skip_unreadable`, and for `devices`
    and `num_nodes`, among which the pictures of a batch are shared anew. Raises `InputError` when they are not, when
    `folder` is no run, and when its data have other names than they had.
    """
    run = Run.open(folder)
    run.check(given)
    settings = shared_among(run.settings(), given)
    if given.get("skip_unreadable"):
        settings = settings.model_copy(update={"skip_unreadable": True})
    return _run(settings, run, [] if run.is_begun else [f"{folder}: nothing was saved yet; it begins from the start"])


def _run(settings: TrainingSettings, run: Run | None, said: list[str], given: Set[str] | None = None) -> TrainingResult:
    settings = as_launched(settings)
    check_logger(settings)
    saved = run.load_state() if run else None
    state = State(**saved["state"]) if saved else State()
    device = find_device(settings.device)
    fabric = make_fabric(settings, device)
    silent = not fabric.is_global_zero
    with Display(silent=silent) as display, Interrupt() as interrupt, torch.random.fork_rng([]):
        if run and state.finished and not state.fitting:
            display.line(f"{run.folder}: this run is complete")
            return _result(run, state, fabric.global_rank)
        watch = partial(display.watch, "reading what to validate on")
        begun = Begun.of(run, saved) if run and saved else None
        data = training_data(settings, find_entry(settings.model).task, watch)
        if given is not None and fabric.world_size == 1:  # several would have to agree on how fast they are
            settings, lines = within_budget(settings, given, data[0])
            said = [*said, *lines]
        system, train_set, val_set, notes = build_training(settings, data, begun)
        loader = build_loader(settings, train_set, system, fabric, notes)
        said = said if saved else [*said, *from_scratch(settings, system.model, len(train_set))]
        notes = [*said, *notes, *state.begin(loader.num_batches, len(train_set))]
        if run is None:
            run = create_run(settings, fabric)
            if not silent:
                remember_held_out(run.folder, settings, val_set)
        if not saved and not silent:
            remember_trained_on(run.folder, settings, train_set)
        pictures = f"{counted(len(train_set), 'picture')} and {len(val_set or ())} to validate on"
        notes = [*unused_tasks(settings), *notes, *illegible(system.categories.class_names)]
        for note in dict.fromkeys((*notes, f"{run.folder}: {settings.model} on {device}, {pictures}")):
            display.line(note)
        if val_set is None:  # as the notes say; the saved settings stay, for data that were mended
            settings = settings.model_copy(update={"val_every": 0})
        tracking = None if silent else Tracking(settings, run, display.line)
        outputs = Outputs(run, train_set if val_set is None else val_set, silent=silent, tracking=tracking)
        session = Session(outputs=outputs, display=display, interrupt=interrupt)
        try:
            if not state.finished:
                learner = make_learner(settings, state, system, fabric)
                if fabric.world_size == 1:
                    take_single_values(system.model, display.line)
                elif share_norms(system.model):
                    display.line(f"batch norms count over the pictures of all {fabric.world_size} processes")
                if saved:
                    learner.load_state_dict(saved)
                train_epochs(learner, loader, session)
                for note in (*seldom(settings, state.pictures, len(train_set)), *_skipped(state, train_set, val_set)):
                    display.line(note)
            if state.fitting and not silent:  # other processes' work is done
                fit_after_training(settings, state, session, train_set, device)
        except Interrupted:
            display.line(f"stopped; to go on: delineate train --resume {run.folder}")
            raise KeyboardInterrupt from None
        except RuntimeError as error:
            if fabric.world_size > 1 and is_of_another_process(error):
                raise InputError(
                    f"another process of this training ended; to go on: delineate train --resume {run.folder}"
                ) from error
            raise
        finally:
            session.outputs.close()
            loader.close()
        return _result(run, state, fabric.global_rank)


def _skipped(state: State, train_set: Dataset, val_set: Dataset | None) -> list[str]:
    """Count the pictures that could not be read, whether this was seen before training or when they were met."""
    before = {*left_out(train_set), *left_out(val_set)}
    num_skipped = len(before | state.skipped.keys())
    num_pictures = len({*train_set.files, *(val_set.files if val_set else ())}) + len(before)
    if not num_skipped:
        return []
    return [f"skipped {num_skipped} of {counted(num_pictures, 'picture')} that cannot be read"]


def _result(run: Run, state: State, rank: int) -> TrainingResult:
    metrics = measured(state.best) if state.best else {}
    return TrainingResult(folder=run.folder, metrics=metrics, seconds=state.seconds, pictures=state.pictures, rank=rank)
