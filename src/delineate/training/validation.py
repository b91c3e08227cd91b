"""Validation is due at times, and several processes share it."""

import time
from typing import Any

from torch import distributed

from delineate.data.dataset import Dataset
from delineate.data.splits import Watch
from delineate.evaluation.evaluate import Evaluation, summarise, tally
from delineate.training.learner import Learner
from delineate.training.settings import TrainingSettings
from delineate.training.state import State
from delineate.values.task import Tally

VALIDATION_SHARE = 0.1
"""What validations may add to the training time of a run by minutes."""


def due(state: State, settings: TrainingSettings, *, expected: float | None, finished: bool) -> bool:
    """Tell whether to validate after this epoch, where a first validation is `expected` to take so many seconds."""
    if settings.val_every == 0:
        return False
    if settings.val_every is not None or settings.minutes is None:
        return finished or (state.epoch + 1) % (settings.val_every or 1) == 0
    if finished:
        return True
    if not state.validations:
        return expected is not None and affordable(expected, settings.minutes)
    last = state.validations[-1]
    return VALIDATION_SHARE * (state.seconds - last["seconds"]) >= last["val_seconds"]


def affordable(seconds: float, minutes: float) -> bool:
    """Tell whether a validation adds no more than its share to a run of so many minutes."""
    return seconds <= VALIDATION_SHARE * 60 * minutes


def expected_seconds(learner: Learner, dataset: Dataset) -> float:
    """Time one picture, after one to warm up, for all of them; processes share these."""
    image = dataset[len(dataset) // 2].image
    learner.kept.infer([image])
    began = time.monotonic()
    learner.kept.infer([image])
    return (time.monotonic() - began) * len(dataset) / learner.fabric.world_size


def validate(learner: Learner, dataset: Dataset, watch: Watch) -> Evaluation:
    """Measure what is kept over the data set; each process takes a share, and all get the whole."""
    fabric, system = learner.fabric, learner.kept
    if fabric.world_size > 1:  # batch statistics are each process's own
        for value in system.model.state_dict().values():
            distributed.broadcast(value, 0)
    gathered = tally(
        system,
        dataset,
        num_workers=learner.settings.num_workers,
        watch=watch,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    if fabric.world_size > 1:
        gathered = _of_all_processes(gathered, fabric.world_size)
    return summarise(gathered, system.task, dataset.categories, len(dataset))


def _of_all_processes(gathered: Tally, world_size: int) -> Tally:
    tallies: list[Any] = [None] * world_size
    distributed.all_gather_object(tallies, gathered)
    whole: Tally = tallies[0]
    for tallied in tallies[1:]:
        whole.merge(tallied)
    return whole
