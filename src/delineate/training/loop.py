"""The training loop goes through epochs, and takes a step with each batch.

epochs:  ┌─► batch ─► batch ─► ... ─► validation, what is kept, what is saved ─┐
         └─────────────────────────────────────────────────────────────────────┘
step:    learning rate ─► losses ─► gradients ─► (with others, clipped) ─► optimizer ─► moving average
"""

import math
import time

import torch
from torch import Tensor

from delineate.data.loading import Batch, TrainingLoader
from delineate.data.sampling import mixed
from delineate.training.learner import Learner
from delineate.training.optimisation import update_average
from delineate.training.recording import Session, after_batch, begin_fitting, end_epoch
from delineate.values import InputError


def train_epochs(learner: Learner, loader: TrainingLoader, session: Session) -> None:
    """Train until the budget is used or validations get no better, from wherever the state is.

    Raises `Interrupted` once a stop was requested and the state is saved.
    """
    if learner.settings.num_epochs == 0:
        begin_fitting(learner, session)
    while not learner.state.finished:
        over = train_epoch(learner, loader, session)
        end_epoch(learner, session, over=over)


def train_epoch(learner: Learner, loader: TrainingLoader, session: Session) -> bool:
    """Learn from the batches of an epoch that are left, and tell whether the minutes are over before they are."""
    state = learner.state
    loader.set_epoch(state.epoch, state.batch)
    session.lap_began = time.monotonic()
    for batch in loader:
        steps = state.step
        losses = step(learner, batch)
        if after_batch(learner, session, batch, losses, moved=state.step > steps):
            return True
    return False


def step(learner: Learner, batch: Batch) -> dict[str, float]:
    """Learn from a batch, and give the losses; the weights move with the last of the batches that share a step.

    Raises `InputError` that names the pictures when the loss is no number.
    """
    settings, state, fabric = learner.settings, learner.state, learner.fabric
    torch.manual_seed(mixed(settings.seed, state.epoch, state.batch, fabric.global_rank))
    learner.begin_step()
    num_sharing, moves = state.sharing(settings.accumulate)
    with fabric.no_backward_sync(learner.network, enabled=not moves):
        with learner.autocast():
            losses = learner.network.loss(*learner.system.batch(batch.images, batch.targets))
        total = torch.stack(list(losses.values())).sum()
        values = _values(total, losses)
        if not math.isfinite(values["loss"]):
            raise InputError(
                f"the loss is {values['loss']} in epoch {state.epoch + 1}, batch {state.batch + 1}; "
                f"lower the learning rate, or look at the pictures: {', '.join(batch.files)}"
            )
        fabric.backward(total / num_sharing)
    state.add_batch(values, len(batch.files) * fabric.world_size)
    if moves:
        if settings.clip_gradient is not None:
            torch.nn.utils.clip_grad_norm_(learner.system.model.parameters(), settings.clip_gradient)
        learner.optimizer.step()
        learner.optimizer.zero_grad()
        state.step += 1
        if learner.average is not None and settings.ema is not None:
            update_average(learner.average.model, learner.system.model, settings.ema, state.step)
    return values


def _values(total: Tensor, losses: dict[str, Tensor]) -> dict[str, float]:
    """Read the losses as numbers, waiting for the device once."""
    named = {"loss": total, **{f"loss/{name}": loss for name, loss in losses.items() if len(losses) > 1}}
    return dict(zip(named, torch.stack(list(named.values())).tolist(), strict=True))
