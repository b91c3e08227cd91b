"""After gradient descent, some systems fit what no gradient learns (`Model.fit`), on their best weights."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import torch

from delineate.data.dataset import Dataset
from delineate.data.loading import Batch, Loader, evaluation_loader
from delineate.data.splits import Watch, readable
from delineate.evaluation.evaluate import evaluate
from delineate.models.contract import Inputs
from delineate.system.system import System
from delineate.training.interrupt import Interrupted
from delineate.training.recording import Session
from delineate.training.settings import TrainingSettings
from delineate.training.state import State
from delineate.values import Target, Truth


def fit_after_training(
    settings: TrainingSettings, state: State, session: Session, train: Dataset, device: torch.device
) -> None:
    """Fit the best weights to the training pictures as they are in use, and keep what comes as best.

    It is validated, unless `val_every` is 0. The state is saved last: a run that is stopped before then does the stage
    again. Raises `Interrupted` when a stop was requested.
    """
    began, before, run = time.monotonic(), state.best, session.outputs.run
    system = _fitted(settings, session, train, device)
    fitted = time.monotonic()
    row = state.row() | {"fit_seconds": round(fitted - began, 3)}  # in the curves the stage has the place of an epoch
    words = f"fitted in {fitted - began:.0f} s"
    if settings.val_every != 0:
        watch = session.watch("validating")
        evaluation = evaluate(system, session.outputs.val, num_workers=settings.num_workers, watch=watch)
        state.metric = next(iter(evaluation.metrics))
        row |= {**evaluation.metrics, "val_seconds": round(time.monotonic() - fitted, 3)}
        earlier = f" (before: {before[state.metric]:.4f})" if before else ""
        words += f"  {state.metric} {row[state.metric]:.4f}{earlier}"
    state.end_fitting(row)
    session.outputs.end_epoch(system, state)
    saved = run.load_state()
    assert saved is not None, "the state was saved when the last epoch ended"
    run.save_state({**saved, "state": asdict(state)})
    session.display.line(words)


def _fitted(settings: TrainingSettings, session: Session, train: Dataset, device: torch.device) -> System:
    """Load the best system of the run, and let it fit what no gradient learns."""

    def say(line: str) -> None:
        session.display.line(line)
        if session.interrupt.requested:
            raise Interrupted

    say("fitting to the training pictures what is learned by no gradient, on the best weights")
    session.display.step("fitting", share=1.0, seconds_left=None, facts={})
    system = System.load(session.outputs.run.best)
    system.model.to(device).to(memory_format=torch.channels_last)
    if settings.skip_unreadable:
        train = readable(train, [])  # what cannot be read was named in training
    loader = evaluation_loader(train, system.preprocess, num_workers=settings.num_workers)
    system.model.fit(_Pictures(loader, system, session.watch("describing")), session.outputs.run.folder, say)
    return system


@dataclass(frozen=True)
class _Pictures:
    """These are the batches of a loader as a model takes them, on its device."""

    loader: Loader[tuple[Batch, Target]]
    system: System
    watch: Watch

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Inputs, Sequence[Truth]]]:
        for batch, _ in self.watch(self.loader):
            yield self.system.batch(batch.images, batch.targets)
