"""What happens around the steps of training: counting, averaging, validating, saving, stopping."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import distributed

from delineate.data.dataset import Dataset
from delineate.data.loading import Batch
from delineate.evaluation.evaluate import Evaluation, Tally, summarise, tally
from delineate.models.contract import Model
from delineate.system.catalog import Task
from delineate.training.display import Display, clock, memory
from delineate.training.interrupt import Interrupt, Interrupted
from delineate.training.module import TrainingModule
from delineate.training.optimisation import MovingAverage
from delineate.training.outputs import Outputs
from delineate.training.runs import Run
from delineate.training.state import State

SAVE_EVERY = 120.0
"""Seconds between two states that are saved within an epoch."""
LOG_EVERY = 10
"""Steps between two entries for TensorBoard."""
VALIDATION_SHARE = 0.1
"""What validations may add to the training time of a run by minutes."""


class Recorder(Callback):
    """Counts, averages, validates, saves and stops; only the first process writes.

    What is validated and kept as best and last are the weights' moving average where there is one, else the weights.
    """

    def __init__(
        self,
        *,
        run: Run,
        outputs: Outputs,
        val: Dataset,
        task: Task,
        average: MovingAverage[Model[Any, Any]] | None,
        interrupt: Interrupt,
        display: Display,
    ) -> None:
        self.run, self.outputs, self.val, self.task, self.average = run, outputs, val, task, average
        self.interrupt, self.display = interrupt, display
        self.first_step = 0
        self.lap_began = self.saved = time.monotonic()
        self.save_took = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.first_step = _ours(pl_module).state.step
        if self.average is not None:
            self.average.model.to(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.lap_began = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        module = _ours(pl_module)
        state, minutes = module.state, module.settings.minutes
        state.batch += 1
        state.pictures += len(batch.files) * trainer.world_size
        self._report_skipped(state, batch)
        state.add_losses(module.losses)
        stepped = self.first_step + trainer.global_step > state.step
        if stepped:
            state.step += 1
            if self.average is not None:
                self.average.update(module.model, state.step)
            if state.step % LOG_EVERY == 0:
                self.outputs.log_step(state, {**module.losses, "learning_rate": module.learning_rate})
        now = time.monotonic()
        lap, self.lap_began = now - self.lap_began, now
        over = minutes is not None and state.seconds + 1.5 * lap > 60 * minutes
        state.seconds, over, interrupted = _agree(trainer, state.seconds + lap, over, self.interrupt.requested)
        self._show(module)
        if over:
            trainer.should_stop = True
        elif stepped and interrupted:
            self._interrupted(trainer, module)
        elif stepped and now - self.saved > SAVE_EVERY:
            self._save(trainer, module)
            self.lap_began = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = _ours(pl_module)
        state, settings = module.state, module.settings
        row = {
            "epoch": float(state.epoch + 1),
            "seconds": round(state.seconds, 3),
            "pictures": float(state.pictures),
            "learning_rate": module.learning_rate,
            **state.mean_losses(),
        }
        finished = trainer.should_stop or state.epoch + 1 == settings.num_epochs
        if trainer.strategy.broadcast(self._due(module, finished)):
            began = time.monotonic()
            evaluation = self._validate(trainer, module)
            state.metric = next(iter(evaluation.metrics))
            row |= {**evaluation.metrics, "val_seconds": round(time.monotonic() - began, 3)}
        state.end_epoch(row)
        state.finished = finished  # not before: a run that is stopped while it validates is not complete
        self.display.line(_line(row, state.metric, best=row is state.best))
        if settings.early_stopping is not None and state.validations_since_best() >= settings.early_stopping:
            self.display.line(f"stopped early: no better validation in {settings.early_stopping}")
            trainer.should_stop = state.finished = True
        state.fitting = state.finished and module.model.fits
        self.outputs.end_epoch(self._kept(module), state)
        if state.finished or time.monotonic() - self.saved > 20 * self.save_took:
            self._save(trainer, module)

    def _report_skipped(self, state: State, batch: Batch) -> None:
        for line in batch.skipped:
            if line not in state.skipped:
                self.display.line(f"skipped: {line}")
            state.skipped[line] = state.skipped.get(line, 0) + 1

    def _kept(self, module: TrainingModule) -> Model[Any, Any]:
        return module.model if self.average is None else self.average.model

    def _due(self, module: TrainingModule, finished: bool) -> bool:
        """Whether to validate after this epoch."""
        state, settings = module.state, module.settings
        if settings.val_every == 0:
            return False
        if settings.val_every is not None or settings.minutes is None:
            return finished or (state.epoch + 1) % (settings.val_every or 1) == 0
        if finished or not state.validations:
            return True
        last = state.validations[-1]
        return VALIDATION_SHARE * (state.seconds - last["seconds"]) >= last["val_seconds"]

    def _validate(self, trainer: Trainer, module: TrainingModule) -> Evaluation:
        def watch(batches: Iterable[Any]) -> Iterator[Any]:
            for batch in self.display.watch("validating", batches):
                if self.interrupt.requested and trainer.world_size == 1:  # else the next step agrees on it
                    self._interrupted(trainer, module)
                yield batch

        model = self._kept(module)
        if trainer.world_size > 1:  # batch statistics are each process's own
            for value in model.state_dict().values():
                distributed.broadcast(value, 0)
        gathered = tally(
            model,
            module.preprocess,
            self.val,
            self.task,
            num_workers=module.settings.num_workers,
            watch=watch,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        if trainer.world_size > 1:
            gathered = _all(gathered, trainer.world_size)
        return summarise(gathered, self.val.categories, len(self.val), self.task)

    def _save(self, trainer: Trainer, module: TrainingModule) -> None:
        if trainer.is_global_zero:
            began = time.monotonic()
            self.run.save_state(
                {
                    "model": module.model.state_dict(),
                    "average": None if self.average is None else self.average.model.state_dict(),
                    "optimizer": trainer.optimizers[0].state_dict(),
                    "state": module.state.state_dict(),
                }
            )
            self.saved = time.monotonic()
            self.save_took = self.saved - began

    def _interrupted(self, trainer: Trainer, module: TrainingModule) -> None:
        self._save(trainer, module)
        self.outputs.save_weights(self._kept(module), module.state)
        raise Interrupted

    def _show(self, module: TrainingModule) -> None:
        state, settings = module.state, module.settings
        done = state.progress(settings)
        of = "" if settings.num_epochs is None else f"/{settings.num_epochs}"
        losses = {name.removeprefix("loss/"): f"{value:.3f}" for name, value in module.losses.items()}
        facts = losses if len(losses) > 2 else {"loss": losses["loss"]}
        self.display.step(
            f"epoch {state.epoch + 1}{of}  batch {state.batch}/{state.num_batches}",
            share=done,
            seconds_left=state.seconds * (1 - done) / done if done else None,
            facts={**facts, "memory": memory(module.device)},
        )


def _ours(module: LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module


def _agree(trainer: Trainer, seconds: float, over: bool, interrupted: bool) -> tuple[float, bool, bool]:
    """The most of all processes, so that each has the same learning rate and stops at the same step."""
    if trainer.world_size == 1:
        return seconds, over, interrupted
    most = torch.tensor([seconds, over, interrupted], dtype=torch.float64, device=trainer.strategy.root_device)
    distributed.all_reduce(most, distributed.ReduceOp.MAX)
    return float(most[0]), bool(most[1]), bool(most[2])


def _all(gathered: Tally, world_size: int) -> Tally:
    """What all processes gathered, in each of them."""
    parts: list[Any] = [None] * world_size
    distributed.all_gather_object(parts, gathered)
    whole, *others = parts
    for part in others:
        whole.merge(part)
    assert isinstance(whole, type(gathered))
    return whole


def _line(row: dict[str, float], metric: str, *, best: bool) -> str:
    measured = f"  {metric} {row[metric]:.4f}{' (best)' if best else ''}" if metric in row else ""
    return f"epoch {row['epoch']:.0f}  {clock(row['seconds'])}  loss {row['loss']:.4f}{measured}"
