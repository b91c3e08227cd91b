"""The pace of a system is how fast it learns on this machine."""

import time
from collections.abc import Iterator

import torch

from delineate.data.dataset import Dataset, Part
from delineate.data.loading import Batch, TrainingLoader
from delineate.data.splits import spread
from delineate.io.machine import find_device
from delineate.nn.norms import take_single_values
from delineate.training.building import build_loader, build_training
from delineate.training.learner import Learner, make_fabric, make_learner
from delineate.training.loop import step
from delineate.training.settings import TrainingSettings
from delineate.training.state import State

WARM_UP, MEASURED = 2, 6


def pictures_a_second(settings: TrainingSettings, dataset: Dataset) -> float:
    """Time some training steps on pictures of `dataset`, after some to warm up; nothing is kept of them."""
    settings = settings.model_copy(update={"devices": 1, "num_nodes": 1})
    some = Part(dataset, spread(len(dataset), (WARM_UP + MEASURED) * settings.batch_size * settings.accumulate))
    with torch.random.fork_rng([]):
        fabric = make_fabric(settings, find_device(settings.device))
        system, train, _, _ = build_training(settings, (some, Part(dataset, []), []))
        loader = build_loader(settings, train, system, fabric)
        learner = make_learner(settings, State(num_batches=loader.num_batches), system, fabric)
        take_single_values(system.model, lambda _: None)
        batches = _batches(learner.state, loader)
        _learn(learner, batches, until=WARM_UP)
        pictures, began = learner.state.pictures, time.perf_counter()
        _learn(learner, batches, until=WARM_UP + MEASURED)
        seconds = time.perf_counter() - began
        loader.close()
    return (learner.state.pictures - pictures) / seconds


def _batches(state: State, loader: TrainingLoader) -> Iterator[Batch]:
    """Pass on epoch after epoch without end."""
    while True:
        loader.set_epoch(state.epoch)
        yield from loader
        state.epoch, state.batch = state.epoch + 1, 0


def _learn(learner: Learner, batches: Iterator[Batch], *, until: int) -> None:
    while learner.state.step < until:
        step(learner, next(batches))
    if learner.fabric.device.type == "cuda":
        torch.cuda.synchronize()
