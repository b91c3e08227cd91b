"""Models are served by name; a run takes the place of another while pictures of both are in work."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import torch

from delineate.artefact import is_export
from delineate.deploy import Predictor
from delineate.deploy.choosing import Take, choosing
from delineate.deploy.predictor import takes_cores
from delineate.io.machine import num_cores
from delineate.io.runs import RECORD, find_checkpoint
from delineate.serve.crew import Crew
from delineate.serve.limits import AT_ONCE, Budget, Limits, Refused
from delineate.serve.metrics import Metrics
from delineate.system.operating import fingerprint
from delineate.system.system import System
from delineate.values import InputError
from delineate.values.thresholds import MIN_SCORE

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MOST_SIDE_BY_SIDE = 8
"""So many batches of one picture go side by side on a CPU, and share its cores."""
BATCH = 8
"""So many pictures make a batch where PyTorch does not compute on the cores of a CPU; there, batches buy nothing."""


class Loading(TypedDict, total=False):
    """Runs are loaded by these options of `Predictor.load`."""

    device: str
    weights: Literal["best", "last"]
    precision: Literal["auto", "fp32", "bf16"]
    optimise: Literal["auto"] | None


class Loaded:
    """A run is loaded, and is what a request finds by until the end, whatever takes its place meanwhile."""

    def __init__(self, run: Path, predictor: Predictor, version: str, crew: Crew) -> None:
        self.run, self.system, self.version, self.crew = run, predictor.system, version, crew
        self.chosen = lru_cache(64)(partial(_chosen, self.system))  # a batch is of one choice, which is one object

    @property
    def scores(self) -> dict[str, float] | None:
        """Give the score of each class from which on objects are taken; `None` where there are no scores."""
        points, names = self.system.operating_points, self.system.categories.class_names
        if points is not None:
            return {name: point.score.value for name, point in points.classes.items()}
        return dict.fromkeys(names, MIN_SCORE) if self.system.task.finds_many else None


def _chosen(system: System, min_score: float | None) -> tuple[System, Take]:
    if min_score is None and system.operating_points is None and system.task.finds_many:
        min_score = MIN_SCORE
    return choosing(system, min_score=min_score)


class ServedModel:
    """A model has a name, what is loaded for it now, and a number of pictures that are in work or wait."""

    def __init__(self, name: str, loaded: Loaded, limits: Limits, metrics: Metrics) -> None:
        self.name, self.loaded, self._limits = name, loaded, limits
        self._waiting, self._gauge = 0, metrics.queue.labels(name)

    @contextmanager
    def admitted(self, count: int) -> Iterator[None]:
        """Count pictures as waiting while the block lasts; raises `Refused` (503) where there are too many."""
        if self._waiting + count > self._limits.queue:
            raise Refused(503, f"{self.name}: {self._waiting} pictures wait already; try again", {"Retry-After": "1"})
        self._waiting += count
        self._gauge.inc(count)
        try:
            yield
        finally:
            self._waiting -= count
            self._gauge.dec(count)


class ServedModels:
    """Runs and exports are served by their names.

    `workers` threads decode pictures (as many as cores, at most 4, if not given). Up to `batch_size` pictures of one
    resized size go through a network together, none of them waiting longer than `wait` seconds for others; if it is not
    given, 1 where PyTorch computes on a CPU, whose cores then have a batch each, and 8 elsewhere. Each device has a
    crew of its own, which all of its models share. `limits` bounds what a request may take. All else is as
    `Predictor.load` has it. Raises `InputError` for a name that cannot stand in an address, and as that.
    """

    def __init__(
        self,
        runs: Mapping[str, Path],
        *,
        limits: Limits | None = None,
        workers: int | None = None,
        batch_size: int | None = None,
        wait: float = 0.005,
        **loading: Unpack[Loading],
    ) -> None:
        self.limits, self.metrics, self._loading = limits or Limits(), Metrics(), loading
        self._batch_size, self._wait = batch_size, wait
        self._crews: dict[tuple[str, bool], Crew] = {}
        self.budget = Budget(AT_ONCE * self.limits.num_pixels)
        self.readers = ThreadPoolExecutor(
            min(num_cores(), 4) if workers is None else workers, "reader", partial(torch.set_num_threads, 1)
        )
        self._models: dict[str, ServedModel] = {}
        self._turn = threading.Lock()
        for name, run in runs.items():
            self.replace(name, run)

    def __getitem__(self, name: str) -> ServedModel:
        """Give the model of a name; raises `Refused` (404) where there is none."""
        if name not in self._models:
            raise Refused(404, f"there is no model of this name; there are {', '.join(self._models) or 'none'}")
        return self._models[name]

    def names(self) -> Sequence[str]:
        """Name the models in the order in which they came."""
        return list(self._models)

    def system(self, name: str) -> System:
        """Give what is served by a name now; raises `KeyError` where there is none."""
        return self._models[name].loaded.system

    def run(self, name: str) -> Path:
        """Say which run or export is served by a name now; raises `KeyError` where there is none."""
        return self._models[name].loaded.run

    @property
    def is_loading(self) -> bool:
        """Whether a run is being loaded; another one waits for that, so that memory holds one more than are served."""
        return self._turn.locked()

    def replace(self, name: str, run: Path) -> None:
        """Load a run for a name, which may be a new one.

        Pictures that are in work are finished by what was loaded before. Raises `InputError` as `Predictor.load`, and
        serves on with what was loaded before then.
        """
        if not NAME.fullmatch(name):
            raise InputError(f"name: '{name}' cannot stand in an address; take letters, digits, '.', '_' and '-'")
        try:
            with self._turn:
                loaded = self._load(run)
        except Exception:
            self.metrics.reloads.labels(name, "failed").inc()
            raise
        if name in self._models:
            self._models[name].loaded = loaded
            self.metrics.reloads.labels(name, "done").inc()
        else:
            self._models[name] = ServedModel(name, loaded, self.limits, self.metrics)

    def reload(self, name: str) -> str:
        """Load the run of a name again, as `replace` does, and give its version; raises `KeyError` for no such name."""
        self.replace(name, self.run(name))
        return self._models[name].loaded.version

    def close(self) -> None:
        """Finish what was asked, and let all threads end."""
        self.readers.shutdown()
        for crew in self._crews.values():
            crew.close()

    def _load(self, run: Path) -> Loaded:
        known_by = run / RECORD if is_export(run) else find_checkpoint(run, self._loading.get("weights", "best"))
        version = fingerprint(known_by)[:12]
        predictor = Predictor.load(run, **self._loading)
        return Loaded(run, predictor, version, self._crew(predictor.system))

    def _crew(self, system: System) -> Crew:
        """Give the crew of a system's device: on a CPU, PyTorch takes a core a batch, and other runtimes all cores."""
        side_by_side = takes_cores(system)
        key = (str(system.device), side_by_side)
        if key not in self._crews:
            at_once = min(num_cores(), MOST_SIDE_BY_SIDE) if side_by_side else 1
            self._crews[key] = Crew(
                key[0],
                at_once=at_once,
                behind=0 if side_by_side else 1,
                cores=max(1, num_cores() // at_once) if side_by_side else None,
                most=self._batch_size or (1 if side_by_side else BATCH),
                wait=self._wait,
            )
        return self._crews[key]
