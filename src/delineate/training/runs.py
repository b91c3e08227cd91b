"""The folder of a run (`io.runs`) is written so that no file is ever half there."""

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from delineate.io.files import written_beside
from delineate.io.runs import check_new_run
from delineate.training.settings import TrainingSettings
from delineate.values import InputError

WHOLE = ("epoch", "pictures")
ANEW = ("arguments", "skip_unreadable", "devices", "num_nodes")
"""A run that goes on may have others of these; arguments are compared one by one."""


@dataclass(frozen=True)
class Run:
    """A run is known by its folder."""

    folder: Path

    @classmethod
    def create(cls, settings: TrainingSettings) -> "Run":
        """Make a new folder, `settings.out` or the first free of runs/MODEL-1, -2, ...

        A run of which nothing was saved begins again. Raises `InputError` when the folder is a run already.
        """
        folder = settings.out or _free(settings.model)
        run = cls(folder)
        if run.settings_file.exists() and run.is_begun:
            raise InputError(
                f"out: {folder} is a run already; continue it with --resume {folder}, or name another --out"
            )
        if not run.settings_file.exists():
            check_new_run(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = {name: getattr(settings, name) for name in ("data", "backbone_weights", "weights")}
        places = {name: file and file.absolute() for name, file in files.items()}
        values = settings.model_copy(update={**places, "out": folder})
        with written_beside(run.settings_file) as beside:
            beside.write_text(values.model_dump_json(indent=2) + "\n")
        return run

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Take an existing run; raises `InputError` when `folder` is none."""
        run = cls(folder)
        if not run.settings_file.is_file():
            raise InputError(f"{folder}: no run, there is no settings.json in it; name a folder that `train` wrote")
        return run

    def check(self, given: Mapping[str, Any]) -> None:
        """Raise `InputError` naming the first setting that is `given` and is another one in this run.

        What cannot be read may be passed over from now on, and other processes may share the work.
        """
        own = self.settings()
        asked = TrainingSettings(**{"model": own.model, "data": own.data, **given})
        names = [name for name in given if name not in ANEW]
        pairs = {name: (getattr(asked, name), getattr(own, name)) for name in names}
        pairs |= {name: (value, own.arguments.get(name)) for name, value in asked.arguments.items()}
        for name, (value, kept) in pairs.items():
            if value != kept and not (isinstance(value, Path) and value.absolute() == kept):
                words = ["none" if setting is None else setting for setting in (value, kept)]
                raise InputError(
                    f"{name}: {words[0]} is given, and {self.folder} has {words[1]}; a run goes on as it began: "
                    f"leave it out, or begin a new run with --weights {self.folder}"
                )

    @property
    def is_begun(self) -> bool:
        """Whether anything was saved that the run can go on from, or that it learned."""
        return any(file.exists() for file in (self.resume_file, self.last, self.best))

    @property
    def settings_file(self) -> Path:
        return self.folder / "settings.json"

    @property
    def best(self) -> Path:
        return self.folder / "best.safetensors"

    @property
    def last(self) -> Path:
        return self.folder / "last.safetensors"

    @property
    def resume_file(self) -> Path:
        return self.folder / "resume.ckpt"

    @property
    def regression(self) -> Path:
        return self.folder / "regression"

    def settings(self) -> TrainingSettings:
        """Read the settings; raises `InputError` naming the file when it was changed into something else."""
        try:
            values = json.loads(self.settings_file.read_text())
        except ValueError as error:
            raise InputError(f"{self.settings_file}: not JSON ({error})") from error
        try:
            return TrainingSettings(**{**values, "out": str(self.folder)})
        except InputError as error:
            raise InputError(f"{self.settings_file}: {error}") from error

    def save_state(self, state: dict[str, Any]) -> None:
        with written_beside(self.resume_file) as beside, beside.open("wb") as opened:
            torch.save(state, opened)
            opened.flush()
            os.fsync(opened.fileno())

    def load_state(self) -> dict[str, Any] | None:
        """Read what `save_state` wrote; `None` where a run stopped before it wrote any."""
        if not self.resume_file.exists():
            return None
        state: dict[str, Any] = torch.load(self.resume_file, map_location="cpu", weights_only=True)
        return state

    def write_metrics(self, history: list[dict[str, float]]) -> None:
        names = list(dict.fromkeys(name for row in history for name in row))
        with written_beside(self.folder / "metrics.csv") as beside, beside.open("w", newline="") as opened:
            writer = csv.DictWriter(opened, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, **{name: int(row[name]) for name in WHOLE if name in row}} for row in history)

    def read_metrics(self) -> list[dict[str, float]]:
        """Read one row an epoch; what an epoch did not measure is absent."""
        file = self.folder / "metrics.csv"
        if not file.exists():
            return []
        with file.open(newline="") as opened:
            return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(opened)]


def begins_again(settings: TrainingSettings) -> list[str]:
    """Say where the folder of a run has one that stopped before anything was saved."""
    if settings.out is None or not Run(settings.out).settings_file.exists() or Run(settings.out).is_begun:
        return []
    return [f"{settings.out}: an earlier run stopped before anything was saved; it begins again"]


def _free(model: str) -> Path:
    number = 1
    while (folder := Path("runs") / f"{model}-{number}").exists():
        number += 1
    return folder
