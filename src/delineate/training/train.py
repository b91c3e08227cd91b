"""Training from settings, and going on with a run that was stopped."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch import Trainer

from delineate.data.loading import Batch, TrainingLoader
from delineate.system.catalog import find_system
from delineate.system.inference import find_device
from delineate.training.building import as_earlier, build_loader, build_system
from delineate.training.data import training_data, with_proposals
from delineate.training.display import Display
from delineate.training.interrupt import Interrupt, Interrupted
from delineate.training.module import TrainingModule
from delineate.training.optimisation import MovingAverage
from delineate.training.outputs import Outputs
from delineate.training.precision import computes_in_bf16
from delineate.training.recorder import Recorder
from delineate.training.runs import Run
from delineate.training.settings import TrainingSettings
from delineate.training.stages import fit_after_training
from delineate.training.state import State, measured


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a run came to: its folder, the metrics of what is kept as best, and what it took (of training alone)."""

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
    with _quiet():
        trainer = _trainer(settings, device, state)
    with Display(silent=not trainer.is_global_zero) as display, Interrupt() as interrupt, torch.random.fork_rng([]):
        if run and state.finished and not state.fitting:
            display.line(f"{run.folder}: this run is complete")
            return _result(run, state)
        task = find_system(settings.model).task
        train_set, val_set, notes = training_data(settings, task)
        checkpoint = build_system(settings, train_set, notes, fresh=saved is None)
        train_set, val_set = (with_proposals(part, checkpoint.model, settings.data) for part in (train_set, val_set))
        loader = build_loader(
            settings, train_set, checkpoint.preprocess, rank=trainer.global_rank, world_size=trainer.world_size
        )
        state.begin(loader.num_batches)
        module = TrainingModule(checkpoint.model, checkpoint.preprocess, settings, state)
        average = MovingAverage(checkpoint.model, settings.ema) if settings.ema else None
        if saved:
            module.restore(saved["model"], saved["optimizer"])
            if average:
                average.model.load_state_dict(saved["average"])
        if run is None:
            run = Run.create(settings) if trainer.is_global_zero else Run(Path())
        pictures = f"{len(train_set)} pictures and {len(val_set)} to validate on"
        for note in (*notes, f"{run.folder}: {settings.model} on {device}, {pictures}"):
            display.line(note)
        outputs = Outputs(run, checkpoint, val_set, silent=not trainer.is_global_zero)
        recorder = Recorder(
            run=run, outputs=outputs, val=val_set, task=task, average=average, interrupt=interrupt, display=display
        )
        trainer.callbacks.append(recorder)  # type: ignore[attr-defined]
        try:
            if not state.finished:
                with _quiet():
                    trainer.fit(module, train_dataloaders=_Epochs(loader, state))
            if state.fitting and trainer.is_global_zero:  # other processes' work is done
                fit_after_training(settings, state, outputs, train_set, device, interrupt, display)
        except Interrupted:
            display.line(f"stopped; to go on: delineate train --resume {run.folder}")
            raise KeyboardInterrupt from None
        finally:
            outputs.close()
            loader.close()
        return _result(run, state)


class _Epochs:
    """One epoch after another, as far as it is not done; Lightning begins an iteration for each."""

    def __init__(self, loader: TrainingLoader, state: State) -> None:
        self.loader, self.state = loader, state

    def __iter__(self) -> Iterator[Batch]:
        self.loader.set_epoch(self.state.epoch, self.state.batch)
        yield from self.loader


def _trainer(settings: TrainingSettings, device: torch.device, state: State) -> Trainer:
    return Trainer(
        accelerator="cuda" if device.type == "cuda" else "cpu",
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy="ddp" if settings.devices * settings.num_nodes > 1 else "auto",
        precision="bf16-mixed" if computes_in_bf16(settings, device) else "32-true",
        max_epochs=-1 if settings.num_epochs is None else settings.num_epochs - state.epoch,
        min_epochs=0,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.clip_gradient,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        benchmark=device.type == "cuda",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's announcements, its use of what torch deprecates, and its warning that a frozen stage is."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
            warnings.filterwarnings("ignore", message=".*module\\(s\\) in eval mode at the start of training.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _result(run: Run, state: State) -> TrainingResult:
    metrics = measured(state.best) if state.best else {}
    return TrainingResult(folder=run.folder, metrics=metrics, seconds=state.seconds, pictures=state.pictures)
