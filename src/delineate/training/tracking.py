"""The numbers of a run also go where a team gathers those of all its runs: Weights & Biases, or MLflow.

Each is set up by its own environment variables (WANDB_PROJECT, WANDB_MODE, MLFLOW_TRACKING_URI, ...). RUN/tracking.json
keeps the id that a run has there, so that one that is resumed goes on there, too.
"""

import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

from delineate.io.files import written_beside
from delineate.training.runs import Run
from delineate.training.settings import TrainingSettings
from delineate.values import InputError

FILE = "tracking.json"
NAME = "delineate"
"""The project or experiment is called so where no variable says another."""
MOST = 1000
"""MLflow takes so many numbers at once."""
LONGEST = 5000
"""MLflow takes so long a text as a setting."""


@runtime_checkable
class Tracker(Protocol):
    """A tracker takes the numbers of steps; `id` is what it calls the run."""

    id: str

    def log(self, numbers: Mapping[str, float], step: int) -> None: ...

    def close(self) -> None: ...


class Wandb:
    """Numbers go to Weights & Biases, by its own process."""

    def __init__(self, run: Run, settings: Mapping[str, Any], earlier: str | None) -> None:
        import wandb

        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", NAME),
            name=run.folder.name,
            dir=str(run.folder),
            config=dict(settings),
            id=earlier,
            resume="allow" if earlier else None,
        )
        self.id = str(self._run.id)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class Mlflow:
    """Numbers go to MLflow's server, or to its files."""

    def __init__(self, run: Run, settings: Mapping[str, Any], earlier: str | None) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient()
        if earlier is not None:
            self._client.update_run(earlier, status="RUNNING")
            self.id = earlier
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", NAME)
        experiment = self._client.get_experiment_by_name(name)
        place = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        self.id = str(self._client.create_run(place, run_name=run.folder.name).info.run_id)
        params = [Param(key, str(value)[:LONGEST]) for key, value in settings.items()]
        self._client.log_batch(self.id, params=params)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(re.sub(r"[^\w\-. /]", "_", name), value, now, step) for name, value in numbers.items()]
        for first in range(0, len(metrics), MOST):
            self._client.log_batch(self.id, metrics=metrics[first : first + MOST])

    def close(self) -> None:
        self._client.set_terminated(self.id)


TRACKERS: dict[str, Callable[[Run, Mapping[str, Any], str | None], Tracker]] = {"wandb": Wandb, "mlflow": Mlflow}


class Tracking:
    """A run is tracked as long as that works: training goes on without a tracker that fails, and `say` is told once."""

    def __init__(self, settings: TrainingSettings, run: Run, say: Callable[[str], None]) -> None:
        self._name, self._say = settings.logger, say
        self._tracker: Tracker | None = None
        make = TRACKERS.get(settings.logger)
        if make is not None:
            self._guarded(lambda: self._open(make, settings, run))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Pass on what is a number."""
        tracker = self._tracker
        if tracker is not None:
            finite = {name: float(value) for name, value in numbers.items() if math.isfinite(value)}
            self._guarded(lambda: tracker.log(finite, step))

    def close(self) -> None:
        if self._tracker is not None:
            self._guarded(self._tracker.close)

    def _open(self, make: Callable[..., Tracker], settings: TrainingSettings, run: Run) -> None:
        file = run.folder / FILE
        kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        values = {**settings.model_dump(mode="json", exclude={"arguments"}), **settings.arguments}
        self._tracker = make(run, values, kept.get(self._name))
        with written_beside(file) as beside:
            beside.write_text(json.dumps({**kept, self._name: self._tracker.id}) + "\n", encoding="utf-8")

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # a tracker's library raises what it likes
            self._tracker = None
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            self._say(f"logger: {self._name} fails ({reason}); training goes on without it")


def check_logger(settings: TrainingSettings) -> None:
    """Raise `InputError` where the library of a tracker is not installed."""
    if settings.logger in TRACKERS and find_spec(settings.logger) is None:
        raise InputError(f"logger: {settings.logger} is not installed; pip install 'delineate[{settings.logger}]'")
