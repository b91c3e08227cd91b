"""Around the steps of training a run is timed, shown, validated, saved and stopped."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import distributed

from delineate.data.loading import Batch
from delineate.data.splits import Watch
from delineate.training.display import Display, clock, memory
from delineate.training.interrupt import Interrupt, Interrupted
from delineate.training.learner import Learner
from delineate.training.outputs import Outputs
from delineate.training.validation import affordable, due, expected_seconds, validate
from delineate.values import counted

SAVE_EVERY = 120.0
"""Seconds between two states that are saved within an epoch."""
LOG_EVERY = 10
"""Steps between two entries for TensorBoard."""


@dataclass(kw_only=True)
class Session:
    """A session is what surrounds a learner, with times of the monotonic clock."""

    outputs: Outputs
    display: Display
    interrupt: Interrupt
    lap_began: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)
    save_took: float = 0.0
    expected: float | None = None
    """Seconds that a validation is expected to take, where none was done yet."""

    def watch(self, title: str, *, stops: bool = True) -> Watch:
        """Show batches as they pass; where it `stops`, raise `Interrupted` between two when that was requested."""

        def passed_on(batches: Iterable[Any]) -> Iterator[Any]:
            for batch in self.display.watch(title, batches):
                if stops and self.interrupt.requested:
                    raise Interrupted
                yield batch

        return passed_on


def after_batch(learner: Learner, session: Session, batch: Batch, losses: dict[str, float], *, moved: bool) -> bool:
    """Time, show, log and save after a batch, and tell whether the minutes are over.

    Only where the weights have `moved` can a run go on later. Raises `Interrupted` when a stop was requested.
    """
    state = learner.state
    for line in batch.skipped:
        if line not in state.skipped:
            session.display.line(f"skipped: {line}")
        state.skipped[line] = state.skipped.get(line, 0) + 1
    if moved and state.step % LOG_EVERY == 0:
        session.outputs.log_step(state, {**losses, "learning_rate": learner.learning_rate})
    over, interrupted = _take_time(learner, session)
    _show(learner, session.display, losses)
    if moved and interrupted and not over:
        _stop(learner, session)
    if moved and not over and time.monotonic() - session.saved > SAVE_EVERY:
        _save(learner, session)
        session.lap_began = time.monotonic()
    return over


def begin_fitting(learner: Learner, session: Session) -> None:
    """Save what a run without an epoch begins with, which is then fitted to."""
    learner.state.finished = learner.state.fitting = True
    session.outputs.save_weights(learner.kept, learner.state)
    _save(learner, session)


def end_epoch(learner: Learner, session: Session, *, over: bool) -> None:
    """Validate where it is due, and write, show and save the epoch; it is the last one when time is `over`."""
    state, settings = learner.state, learner.settings
    row = state.row() | {"learning_rate": learner.learning_rate, **state.mean_losses()}
    finished = over or state.epoch + 1 == settings.num_epochs
    if not finished and not state.validations:
        _expect(learner, session)
    if learner.fabric.broadcast(due(state, settings, expected=session.expected, finished=finished)):
        row |= _validated(learner, session)
    state.end_epoch(row)
    state.finished = finished  # not before: a run that is stopped while it validates is not complete
    session.display.line(_line(row, state.metric, best=row is state.best))
    if settings.early_stopping is not None and state.validations_since_best() >= settings.early_stopping:
        session.display.line(f"stopped early: no better validation in {settings.early_stopping}")
        state.finished = True
    state.fitting = state.finished and learner.system.model.fits
    session.outputs.end_epoch(learner.kept, state)
    if state.finished or time.monotonic() - session.saved > 20 * session.save_took:
        _save(learner, session)


def _expect(learner: Learner, session: Session) -> None:
    """Find out how long a validation takes, before the first of a run by minutes; say so where that is too long."""
    minutes, dataset = learner.settings.minutes, session.outputs.val
    if session.expected is not None or minutes is None or learner.settings.val_every is not None:
        return
    session.expected = expected_seconds(learner, dataset)
    if not affordable(session.expected, minutes):
        session.display.line(
            f"to validate on {counted(len(dataset), 'picture')} takes about {clock(session.expected)}, more than a "
            "tenth of the minutes: it is done once, after them; --val-every 0 leaves it out"
        )


def _validated(learner: Learner, session: Session) -> dict[str, float]:
    """Validate, and give what that adds to the row of the epoch."""
    began = time.monotonic()
    alone = learner.fabric.world_size == 1  # several processes agree at the next step on whether to stop
    try:
        evaluation = validate(learner, session.outputs.val, session.watch("validating", stops=alone))
    except Interrupted:
        _stop(learner, session)
    learner.state.metric = next(iter(evaluation.metrics))
    return {**evaluation.metrics, "val_seconds": round(time.monotonic() - began, 3)}


def _take_time(learner: Learner, session: Session) -> tuple[bool, bool]:
    """Add the time since the last batch; tell whether another exceeds the minutes, and whether to stop was requested.

    Processes agree on the most of all, so that each has the same learning rate and stops at the same step.
    """
    state, minutes = learner.state, learner.settings.minutes
    now = time.monotonic()
    lap, session.lap_began = now - session.lap_began, now
    state.seconds += lap
    over, interrupted = minutes is not None and state.seconds + lap / 2 > 60 * minutes, session.interrupt.requested
    if learner.fabric.world_size > 1:
        most = torch.tensor([state.seconds, over, interrupted], dtype=torch.float64, device=learner.fabric.device)
        distributed.all_reduce(most, distributed.ReduceOp.MAX)
        state.seconds, over, interrupted = float(most[0]), bool(most[1]), bool(most[2])
    return over, interrupted


def _stop(learner: Learner, session: Session) -> NoReturn:
    _save(learner, session)
    session.outputs.save_weights(learner.kept, learner.state)
    raise Interrupted


def _save(learner: Learner, session: Session) -> None:
    if learner.fabric.is_global_zero:
        began = time.monotonic()
        session.outputs.run.save_state(learner.state_dict())
        session.saved = time.monotonic()
        session.save_took = session.saved - began


def _show(learner: Learner, display: Display, losses: dict[str, float]) -> None:
    state, num_epochs = learner.state, learner.settings.num_epochs
    done = state.progress(learner.settings)
    last = "" if num_epochs is None else f"/{num_epochs}"
    values = {name.removeprefix("loss/"): f"{value:.3f}" for name, value in losses.items()}
    facts = values if len(values) > 2 else {"loss": values["loss"]}
    display.step(
        f"epoch {state.epoch + 1}{last}  batch {state.batch}/{state.num_batches}",
        share=done,
        seconds_left=state.seconds * (1 - done) / done if done else None,
        facts={**facts, "memory": memory(learner.fabric.device)},
    )


def _line(row: dict[str, float], metric: str, *, best: bool) -> str:
    measured = f"  {metric} {row[metric]:.4f}{' (best)' if best else ''}" if metric in row else ""
    return f"epoch {row['epoch']:.0f}  {clock(row['seconds'])}  loss {row['loss']:.4f}{measured}"
