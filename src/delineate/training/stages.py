"""The stage after gradient descent: what a system learns by no gradient (`Model.fit`), on its best weights."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.loading import Batch, Loader, evaluation_loader
from delineate.data.preprocess import Preprocess
from delineate.evaluation.evaluate import Watch, evaluate
from delineate.system.catalog import find_system
from delineate.system.checkpoint import load_checkpoint
from delineate.training.data import readable
from delineate.training.display import Display
from delineate.training.interrupt import Interrupt, Interrupted
from delineate.training.outputs import Outputs
from delineate.training.settings import TrainingSettings
from delineate.training.state import State
from delineate.values import Target


def fit_after_training(
    settings: TrainingSettings,
    state: State,
    outputs: Outputs,
    train: Dataset,
    device: torch.device,
    interrupt: Interrupt,
    display: Display,
) -> None:
    """Fit the best weights to the training pictures as they are in use, and keep what comes as best.

    It is validated, unless `val_every` is 0. The state is saved last: a run that is stopped before then does the stage
    again. Raises `Interrupted` when a stop was requested.
    """

    def say(line: str) -> None:
        display.line(line)
        if interrupt.requested:
            raise Interrupted

    began, before, run = time.monotonic(), state.best, outputs.run
    say("fitting to the training pictures what is learned by no gradient, on the best weights")
    display.step("fitting", share=1.0, seconds_left=None, facts={})
    checkpoint = load_checkpoint(run.best)
    model, preprocess = checkpoint.model.to(device).to(memory_format=torch.channels_last), checkpoint.preprocess
    if settings.skip_unreadable:
        train = readable(train, [])  # what cannot be read was named in training
    loader = evaluation_loader(train, preprocess, num_workers=settings.num_workers)
    pictures = _Pictures(loader, preprocess, device, _watch("describing", display, interrupt))
    model.fit(pictures, run.folder, say)
    fitted = time.monotonic()
    row = {
        "epoch": float(state.epoch + 1),  # in the curves the stage has the place of one
        "seconds": round(state.seconds, 3),
        "pictures": float(state.pictures),
        "fit_seconds": round(fitted - began, 3),
    }
    words = f"fitted in {fitted - began:.0f} s"
    if settings.val_every != 0:
        task, watch = find_system(settings.model).task, _watch("validating", display, interrupt)
        evaluation = evaluate(model, preprocess, outputs.val, task, num_workers=settings.num_workers, watch=watch)
        state.metric = next(iter(evaluation.metrics))
        row |= {**evaluation.metrics, "val_seconds": round(time.monotonic() - fitted, 3)}
        earlier = f" (before: {before[state.metric]:.4f})" if before else ""
        words += f"  {state.metric} {row[state.metric]:.4f}{earlier}"
    state.end_fitting(row)
    outputs.end_epoch(model, state)
    saved = run.load_state()
    assert saved is not None, "the state was saved when the last epoch ended"
    run.save_state({**saved, "state": state.state_dict()})
    display.line(words)


class _Pictures:
    """The batches of a loader as a model takes them, on its device."""

    def __init__(
        self, loader: Loader[tuple[Batch, Target]], preprocess: Preprocess, device: torch.device, watch: Watch
    ) -> None:
        self.loader, self.preprocess, self.device, self.watch = loader, preprocess, device, watch

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Sequence[Target]]]:
        for batch, _ in self.watch(self.loader):
            images = self.preprocess.normalise(batch.images.to(self.device))
            yield images.contiguous(memory_format=torch.channels_last), batch.targets


def _watch(title: str, display: Display, interrupt: Interrupt) -> Watch:
    def passed_on(batches: Iterable[Any]) -> Iterator[Any]:
        for batch in display.watch(title, batches):
            if interrupt.requested:
                raise Interrupted
            yield batch

    return passed_on
