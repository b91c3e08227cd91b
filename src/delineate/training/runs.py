"""The folder of a run (`io.runs`) is written so that no file is ever half there."""

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from delineate.io.files import written_beside
from delineate.io.runs import check_new_run
from delineate.training.settings import TrainingSettings
from delineate.values import InputError

WHOLE = ("epoch", "pictures")


@dataclass(frozen=True)
class Run:
    """A run is known by its folder."""

    folder: Path

    @classmethod
    def create(cls, settings: TrainingSettings) -> "Run":
        """Make a new folder, `settings.out` or the first free of runs/MODEL-1, -2, ...

        Raises `InputError` when the folder is a run already.
        """
        folder = settings.out or _free(settings.model)
        run = cls(folder)
        if run.settings_file.exists():
            raise InputError(
                f"out: {folder} is a run already; continue it with --resume {folder}, or name another --out"
            )
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


def _free(model: str) -> Path:
    number = 1
    while (folder := Path("runs") / f"{model}-{number}").exists():
        number += 1
    return folder
