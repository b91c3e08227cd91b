"""A run leaves weights, metrics and pictures in its folder as it goes on."""

import time
from dataclasses import replace
from typing import Any

from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.splits import spread
from delineate.metrics.detection import LIKELY
from delineate.system.system import System
from delineate.training.regression import record_regression
from delineate.training.runs import Run
from delineate.training.state import TIMES, State, curves, measured
from delineate.training.tracking import Tracking
from delineate.values import Detections, on_cpu
from delineate.viz import beside_truth, comparison_grid, has_ignored, plot_curves, write_picture

DRAW_EVERY = 60.0
"""Seconds between two drawings of the curves and of the predictions."""
NUM_PICTURES = 4


class Outputs:
    """Outputs writes a run's weights, metrics, curves, pictures and TensorBoard events; nothing when `silent`.

    `tracking` takes the numbers, too.
    """

    def __init__(self, run: Run, val: Dataset, *, silent: bool = False, tracking: Tracking | None = None) -> None:
        self.run, self.val, self.silent, self.tracking = run, val, silent, tracking
        self.drawn = time.monotonic()
        self._events: Any = None

    def log_step(self, state: State, numbers: dict[str, float]) -> None:
        """Write numbers of one step to TensorBoard, and wherever else the run is tracked."""
        if self.silent:
            return
        if self._events is None:
            from torch.utils.tensorboard import SummaryWriter  # takes a second, which nothing else needs

            # what a killed process wrote after its last saved state is taken back
            self._events = SummaryWriter(self.run.folder / "tensorboard", purge_step=state.step)
        for name, value in numbers.items():
            self._events.add_scalar(name, value, state.step)
        if self.tracking is not None:
            self.tracking.log(numbers, state.step)

    def end_epoch(self, system: System, state: State) -> None:
        """Write everything that a new row of the history changes."""
        if self.silent:
            return
        row = state.history[-1]
        self.log_step(state, {f"epoch/{name}": value for name, value in row.items() if name not in TIMES})
        self.run.write_metrics(state.history)
        self.save_weights(system, state)
        if "boxes" in system.task.needs and not system.task.finds_many:
            record_regression(self.run.regression, system, self.val, state.epoch)
        if state.finished or time.monotonic() - self.drawn > DRAW_EVERY:
            self.draw(system, state)
            self.drawn = time.monotonic()

    def draw(self, system: System, state: State) -> None:
        rows = curves(state.history)
        if any(row.keys() > {"epoch"} for row in rows):  # without an epoch and a validation there is nothing to draw
            plot_curves(rows, self.run.folder / "curves.png")
        write_picture(self.run.folder / "predictions.png", _beside_truth(system, self.val))

    def save_weights(self, system: System, state: State) -> None:
        """Save the system as last, and as best where the last validation was the best or there was none."""
        if self.silent:
            return
        measuring = replace(system, metrics=measured(state.validations[-1] if state.validations else {}))
        measuring.save(self.run.last)
        if not state.validations or (state.history[-1] is state.best and state.batch == 0):
            measuring.save(self.run.best)

    def close(self) -> None:
        if self._events is not None:
            self._events.close()
        if self.tracking is not None:
            self.tracking.close()


def _beside_truth(system: System, dataset: Dataset) -> Tensor:
    """Draw a few pictures of the data set, each beside its truth and its prediction."""
    rows, ignored = [], False
    for index in spread(len(dataset), NUM_PICTURES):
        sample = dataset[index]
        prediction = on_cpu(system.infer([sample.image])[0])
        if isinstance(prediction, Detections) and system.task.finds_many:
            prediction = prediction.above(LIKELY)
        rows.append(beside_truth(sample.image, sample.target, prediction, dataset.categories))
        ignored = ignored or has_ignored(sample.target, system.task.needs)
    return comparison_grid(rows, categories=dataset.categories, ignored=ignored)
