"""What a run leaves in its folder as it goes on."""

import time
from dataclasses import replace
from typing import Any

from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.preprocess import Preprocess
from delineate.metrics.detection import LIKELY
from delineate.models.contract import Model
from delineate.system.checkpoint import Checkpoint, save_checkpoint
from delineate.system.inference import infer
from delineate.training.regression import record_regression
from delineate.training.runs import Run
from delineate.training.state import TIMES, State, curves, measured
from delineate.values import Detections, on_cpu
from delineate.viz import beside_truth, comparison_grid, plot_curves, write_picture

DRAW_EVERY = 60.0
"""Seconds between two drawings of the curves and of the predictions."""
NUM_PICTURES = 4


class Outputs:
    """Weights, metrics, curves, pictures and TensorBoard's events of one run; nothing when `silent`."""

    def __init__(self, run: Run, checkpoint: Checkpoint, val: Dataset, *, silent: bool = False) -> None:
        self.run, self.checkpoint, self.val = run, checkpoint, val
        self.silent = silent
        self.drawn = time.monotonic()
        self._events: Any = None

    def log_step(self, state: State, numbers: dict[str, float]) -> None:
        """Numbers of one step, to TensorBoard."""
        if self.silent:
            return
        if self._events is None:
            from torch.utils.tensorboard import SummaryWriter  # takes a second, which nothing else needs

            # what a killed process wrote after its last saved state is taken back
            self._events = SummaryWriter(self.run.folder / "tensorboard", purge_step=state.step)
        for name, value in numbers.items():
            self._events.add_scalar(name, value, state.step)

    def end_epoch(self, model: Model[Any, Any], state: State) -> None:
        """Everything that a new row of the history changes."""
        if self.silent:
            return
        row = state.history[-1]
        self.log_step(state, {f"epoch/{name}": value for name, value in row.items() if name not in TIMES})
        self.run.write_metrics(state.history)
        self.save_weights(model, state)
        if not model.finds_many:
            record_regression(self.run.regression, model, self.checkpoint.preprocess, self.val, state.epoch)
        if state.finished or time.monotonic() - self.drawn > DRAW_EVERY:
            self.draw(model, state)
            self.drawn = time.monotonic()

    def draw(self, model: Model[Any, Any], state: State) -> None:
        plot_curves(curves(state.history), self.run.folder / "curves.png")
        picture = predictions_beside_truth(model, self.checkpoint.preprocess, self.val)
        write_picture(self.run.folder / "predictions.png", picture)

    def save_weights(self, model: Model[Any, Any], state: State) -> None:
        """The weights as last, and as best where the last validation was the best or there was none."""
        if self.silent:
            return
        row = state.validations[-1] if state.validations else {}
        checkpoint = replace(self.checkpoint, metrics=measured(row))
        weights = model.state_dict()
        save_checkpoint(self.run.last, checkpoint, weights)
        if not state.validations or (state.history[-1] is state.best and state.batch == 0):
            save_checkpoint(self.run.best, checkpoint, weights)

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


def predictions_beside_truth(model: Model[Any, Any], preprocess: Preprocess, dataset: Dataset) -> Tensor:
    """A few pictures of the data set: picture, truth, prediction."""
    count = min(NUM_PICTURES, len(dataset))
    samples = [dataset[position * len(dataset) // count] for position in range(count)]
    rows = []
    for sample in samples:
        (prediction,) = infer(model, preprocess, [sample.image])
        prediction = on_cpu(prediction)
        if isinstance(prediction, Detections) and model.finds_many:
            prediction = prediction.above(LIKELY)
        rows.append(beside_truth(sample.image, sample.target, prediction, dataset.categories))
    return comparison_grid(rows, categories=dataset.categories)
