"""Training goes on with what was corrected, in processes of its own: measured before and after on the same pictures."""

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from delineate.label.beginning import what_begins
from delineate.label.journal import FOLDER
from delineate.training.runs import Run
from delineate.values import InputError, Task

RUNS = FOLDER / "runs"
MOST_LOSSES = 200
"""So many losses make a curve."""
PATIENCE = 20.0
"""Seconds for a process that is to stop to save what it learned."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """A training is running, done or failed; where there is none, it is `none`.

    `begun` is a time of the clock, `progress` the share of its minutes, `losses` those of its epochs, `metric` the name
    of what is measured `before` and `after` on the pictures that are validated on; `run` is the folder that it writes.
    """

    state: Literal["none", "running", "done", "failed"] = "none"
    begun: float | None = None
    epoch: int = 0
    epochs: int | None = None
    progress: float = 0.0
    losses: tuple[float, ...] = ()
    metric: str | None = None
    before: float | None = None
    after: float | None = None
    error: str | None = None
    run: str | None = None

    def record(self) -> dict[str, Any]:
        return asdict(self)


class Stopped(Exception):  # noqa: N818  (no error)
    """Somebody asked to stop."""


class Training:
    """One training at a time goes on, in a thread that waits for its processes; `changed` hears of every status."""

    def __init__(self, root: Path, task: Task, changed: Callable[[Status], None]) -> None:
        self.root, self.task, self._changed = root, task, changed
        self._status = Status()
        self._minutes = 1.0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._stops = False

    @property
    def running(self) -> bool:
        return self._status.state == "running"

    @property
    def status(self) -> Status:
        """Say how far it is, by what its run has written."""
        status = self._status
        if status.state != "running" or status.run is None:
            return status
        run = Run(self.root / RUNS / status.run)
        rows = run.read_metrics() if run.folder.is_dir() else []
        losses = _thinned([row["loss"] for row in rows if math.isfinite(row.get("loss", math.nan))])
        share = 0.0
        with suppress(FileNotFoundError):  # not begun yet
            share = (time.time() - run.settings_file.stat().st_mtime) / (60 * self._minutes)
        return replace(status, epoch=len(rows), progress=min(0.99, max(0.0, share)), losses=losses)

    def begin(self, data: Path, *, minutes: float, model: str | None, weights: Path | None, device: str) -> Status:
        """Train on a data set for some minutes: what is served, with what it learned, or a new system.

        Raises `InputError` where one is trained already.
        """
        with self._lock:
            if self.running:
                raise InputError("training: one goes on already; stop it, or wait for it")
            folder = _free(self.root / RUNS)
            name, words = what_begins(self.task, model, weights)
            self._minutes, self._stops = minutes, False
            self._status = Status(state="running", begun=time.time(), run=folder.name)
            train = ["train", name, str(data), "--minutes", f"{minutes:g}", "--device", device]
            train += ["--out", str(folder), "--json", *words]
            before = None if weights is None else ["val", str(weights), str(data), "--device", device, "--json"]
            calibrate = ["calibrate", str(folder), "--device", device, "--json"] if self.task.finds_many else None
            self._thread = threading.Thread(
                target=self._run, args=(train, before, calibrate, folder), name="training", daemon=True
            )
            self._thread.start()
        self._changed(self._status)
        return self._status

    def stop(self) -> None:
        """Stop what is running; what was learned stays in its folder."""
        with self._lock:
            self._stops = True
            if self._process is not None:
                self._process.terminate()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(2 * PATIENCE)

    def wait(self) -> Status:
        """Wait until what is running has ended, and say how."""
        thread = self._thread
        if thread is not None:
            thread.join()
        return self._status

    def run_that_is_done(self) -> Path:
        """Give the run that is done; raises `InputError` where there is none."""
        if self._status.state != "done" or self._status.run is None:
            raise InputError("training: there is no run that is done")
        return self.root / RUNS / self._status.run

    def forget(self) -> None:
        """Be as if there had been no training; its run stays."""
        self._set(Status())

    def _run(
        self, train: Sequence[str], before: Sequence[str] | None, calibrate: Sequence[str] | None, folder: Path
    ) -> None:
        """Measure what was before, train, and choose from which scores on marks are shown, where they have scores."""
        try:
            first = self._tried(before, folder) if before else {}
            if metrics := first.get("metrics"):
                metric = next(iter(metrics))
                self._set(replace(self._status, metric=metric, before=_finite(metrics[metric])))
            metrics = self._call(train, folder)["metrics"]
            if calibrate:
                self._tried(calibrate, folder)
            metric = self._status.metric or next(iter(metrics), None)
            after = _finite(metrics.get(metric))
            self._set(replace(self.status, state="done", progress=1.0, metric=metric, after=after))
        except Stopped:
            self._set(Status())
        except Exception as error:  # whatever it is, the next one can begin
            line = str(error) if isinstance(error, InputError | OSError) else f"{type(error).__name__}: {error}"
            self._set(replace(self._status, state="failed", error=line))

    def _tried(self, words: Sequence[str], folder: Path) -> dict[str, Any]:
        """Run what training can do without; the log has its error.

        What is trained on cannot be measured where classes were added since, in which it has no part, and learns them;
        and no score be chosen where no object was held out: marks are shown from 0.5 on.
        """
        with suppress(InputError):
            return self._call(words, folder)
        return {}

    def _call(self, words: Sequence[str], folder: Path) -> dict[str, Any]:
        """Run a command of ours, and read the JSON that it prints; raises `InputError` with its line of error."""
        log = folder.with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as errors:
            with self._lock:
                if self._stops:
                    raise Stopped
                command = [sys.executable, "-m", "delineate", *words]
                self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
            printed = _waited(self._process, lambda: self._stops)
        code, self._process = self._process.returncode, None
        if self._stops:
            raise Stopped
        if code:
            raise InputError(_last_line(log) or f"training ended with {code}; {log} says more")
        result: dict[str, Any] = json.loads(printed)
        return result

    def _set(self, status: Status) -> None:
        self._status = status
        self._changed(status)


def _finite(value: float | None) -> float | None:
    """Give what JSON can say: there is no average precision where nothing is to be found."""
    return value if value is not None and math.isfinite(value) else None


def _thinned(losses: Sequence[float]) -> tuple[float, ...]:
    """Leave out of many losses what a small curve would not show."""
    step = math.ceil(len(losses) / MOST_LOSSES) or 1
    return tuple(losses[::-step][::-1])


def _free(runs: Path) -> Path:
    number = 1
    while (runs / f"run-{number}").exists() or (runs / f"run-{number}.log").exists():
        number += 1
    return runs / f"run-{number}"


def _waited(process: "subprocess.Popen[str]", stops: Callable[[], bool]) -> str:
    """Wait until a process has ended, and give what it printed; one that does not stop when it should is killed."""
    asked: float | None = None
    while True:
        try:
            return process.communicate(timeout=0.5)[0]
        except subprocess.TimeoutExpired:
            if stops() and asked is None:
                asked = time.monotonic()
            if asked is not None and time.monotonic() - asked > PATIENCE:
                process.kill()


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else (lines[-1] if lines else "")
