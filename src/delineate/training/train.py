"""Train from settings, or go on with a run that was stopped."""

from dataclasses import dataclass
from pathlib import Path

import torch

from delineate.io.machine import find_device
from delineate.training.building import as_earlier, build_loader, build_training
from delineate.training.display import Display
from delineate.training.interrupt import Interrupt, Interrupted
from delineate.training.learner import make_fabric, make_learner
from delineate.training.loop import train_epochs
from delineate.training.outputs import Outputs
from delineate.training.recording import Session
from delineate.training.runs import Run
from delineate.training.settings import TrainingSettings
from delineate.training.stages import fit_after_training
from delineate.training.state import State, measured


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """A run gives its folder, the metrics of what is kept as best, and what it took (of training alone)."""

    folder: Path
    metrics: dict[str, float]
    seconds: float
    pictures: int


def train(settings: TrainingSettings) -> TrainingResult:
    """Train a system and keep everything in the run's folder.

    Progress goes to standard error. Ctrl-C saves the state and the weights, says how to go on, and raises
    `KeyboardInterrupt`. Raises `InputError` for what is wrong in the settings or the data, before the folder is made,
    and when the loss is no number, with the names of the pictures.
    """
    return _run(as_earlier(settings), None)


def resume(folder: Path) -> TrainingResult:
    """Go on with a run that was stopped or killed; on a CPU, and by epochs, it ends as if it never had been.

    Raises `InputError` when `folder` is no run.
    """
    run = Run.open(folder)
    return _run(run.settings(), run)


def _run(settings: TrainingSettings, run: Run | None) -> TrainingResult:
    saved = run.load_state() if run else None
    state = State(**saved["state"]) if saved else State()
    device = find_device(settings.device)
    fabric = make_fabric(settings, device)
    silent = not fabric.is_global_zero
    with Display(silent=silent) as display, Interrupt() as interrupt, torch.random.fork_rng([]):
        if run and state.finished and not state.fitting:
            display.line(f"{run.folder}: this run is complete")
            return _result(run, state)
        system, train_set, val_set, notes = build_training(settings, fresh=saved is None)
        loader = build_loader(settings, train_set, system.preprocess, fabric)
        state.begin(loader.num_batches)
        if run is None:
            run = Run(Path()) if silent else Run.create(settings)
        pictures = f"{len(train_set)} pictures and {len(val_set)} to validate on"
        for note in (*notes, f"{run.folder}: {settings.model} on {device}, {pictures}"):
            display.line(note)
        session = Session(outputs=Outputs(run, val_set, silent=silent), display=display, interrupt=interrupt)
        try:
            if not state.finished:
                learner = make_learner(settings, state, system, fabric)
                if saved:
                    learner.load_state_dict(saved)
                train_epochs(learner, loader, session)
            if state.fitting and not silent:  # other processes' work is done
                fit_after_training(settings, state, session, train_set, device)
        except Interrupted:
            display.line(f"stopped; to go on: delineate train --resume {run.folder}")
            raise KeyboardInterrupt from None
        finally:
            session.outputs.close()
            loader.close()
        return _result(run, state)


def _result(run: Run, state: State) -> TrainingResult:
    metrics = measured(state.best) if state.best else {}
    return TrainingResult(folder=run.folder, metrics=metrics, seconds=state.seconds, pictures=state.pictures)
