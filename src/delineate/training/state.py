"""The state of a run says how far it has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from delineate.metrics import main_metrics
from delineate.training.settings import TrainingSettings
from delineate.values import InputError, counted

TIMES = ("seconds", "pictures", "val_seconds", "fit_seconds")
COUNTERS = (*TIMES, "epoch", "learning_rate")


@dataclass(kw_only=True)
class State:
    """A state is what a run needs, beside weights and optimizer, to go on as if it had never stopped.

    `batch` counts the batches done of the `num_batches` of the epoch under way, which has `num_pictures` (0 where an
    earlier version saved the state), `step` the optimizer's steps, `pictures` those seen in all epochs, `seconds` the
    time spent training: reading and computing, without validations and saving. `sums` are the losses summed over the
    `batch` batches, `skipped` has the line of each unreadable picture, and how often it came. `history` has one row an
    epoch, and `metric` is the name in it that says which epoch was best. Where the epochs are `finished` and the
    system then fits something (`Model.fits`), it is `fitting` until it has `fitted`, which has a row of its own.
    """

    epoch: int = 0
    batch: int = 0
    num_batches: int = 0
    num_pictures: int = 0
    step: int = 0
    pictures: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    metric: str = ""
    finished: bool = False
    fitting: bool = False
    fitted: bool = False

    def begin(self, num_batches: int, num_pictures: int) -> list[str]:
        """Take the numbers of an epoch; a line says where it has other than as many pictures as before.

        Raises `InputError` when it had other than as many batches before the run was stopped.
        """
        notes = []
        if self.num_pictures not in (0, num_pictures):
            pictures = counted(num_pictures, "picture")
            notes = [f"data: {pictures} to train on now, {self.num_pictures} when the run was stopped"]
        if self.num_batches not in (0, num_batches):
            pictures = f" ({notes[0].removeprefix('data: ')})" if notes else ""
            raise InputError(
                f"data: an epoch has {num_batches} batches now and had {self.num_batches} when the run was stopped"
                f"{pictures}; give it back its pictures and its number of devices, or begin a new run with what was "
                "learned (--weights RUN)"
            )
        self.num_batches, self.num_pictures = num_batches, num_pictures
        return notes

    def progress(self, settings: TrainingSettings) -> float:
        """Compute the share of the budget that is used, 0..1."""
        if settings.minutes is not None:
            return min(1.0, self.seconds / (60 * settings.minutes))
        assert settings.num_epochs is not None
        return min(1.0, (self.epoch + self.batch / self.num_batches) / settings.num_epochs)

    def sharing(self, accumulate: int) -> tuple[int, bool]:
        """Count the batches that share the step of the next one, and tell whether it is the last of them.

        They are `accumulate`, but fewer at the end of an epoch.
        """
        first = self.batch - self.batch % accumulate
        count = min(accumulate, self.num_batches - first)
        return count, self.batch + 1 == first + count

    def add_batch(self, losses: Mapping[str, float], num_pictures: int) -> None:
        self.batch += 1
        self.pictures += num_pictures
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def mean_losses(self) -> dict[str, float]:
        return {name: value / self.batch for name, value in self.sums.items()}

    def row(self) -> dict[str, float]:
        """Begin the row of the epoch under way."""
        return {
            "epoch": float(self.epoch + 1),
            "seconds": round(self.seconds, 3),
            "pictures": float(self.pictures),
        }

    def end_fitting(self, row: dict[str, float]) -> None:
        self.history.append(row)
        self.fitting, self.fitted = False, True

    def end_epoch(self, row: dict[str, float]) -> None:
        self.history.append(row)
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, {}

    @property
    def validations(self) -> list[dict[str, float]]:
        """List the rows of the epochs that were validated."""
        return [row for row in self.history if self.metric in row]

    @property
    def best(self) -> dict[str, float] | None:
        """Give the row of what is kept: of what was fitted, else of the best epoch, the first of equals."""
        if self.fitted:
            return self.history[-1]
        return max(self.validations, key=lambda row: row[self.metric], default=None)

    def validations_since_best(self) -> int:
        rows = self.validations
        return len(rows) - 1 - rows.index(self.best) if self.best is not None else 0


def curves(history: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Choose what is drawn of the history: no times, and the main metrics, as more cannot be told apart."""
    rows = []
    for row in history:
        metrics = main_metrics(measured(row))
        drawn = [name for name in row if name not in TIMES and (name in COUNTERS or name.startswith("loss"))]
        rows.append({name: row[name] for name in (*drawn, *metrics)})
    return rows


def measured(row: Mapping[str, float]) -> dict[str, float]:
    """Give the metrics among the numbers of an epoch."""
    return {name: value for name, value in row.items() if name not in COUNTERS and not name.startswith("loss")}
