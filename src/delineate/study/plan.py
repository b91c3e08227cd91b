"""A study is a plan first: what is compared, on which data, and for how long; `study.json` keeps it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from delineate.study.grid import Entry
from delineate.study.results import write_json
from delineate.values import InputError


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study compares entries, each once with each seed, on the same splits, for an equal share of `minutes`.

    `task` is the name of what all entries find. `fair` says what is equal: the time, or with `images` the number of
    pictures that each entry sees, such that all together take about `minutes`. Without the split to measure on,
    pictures are held out as in `train`, the same for all. Where `lighter`, each system has the catalog's lighter form,
    which learns sooner. The `runs`, and exports, are by the names of their rows.
    """

    data: Path
    task: str
    entries: Sequence[Entry] = ()
    runs: Mapping[str, Path] = field(default_factory=dict)
    minutes: float = 60
    fair: Literal["time", "images"] = "time"
    seeds: int = 1
    lighter: bool = False
    train_split: str = "train"
    split: str = "val"
    format: str | None = None
    skip_unreadable: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    settings: Mapping[str, Any] | None = None

    @property
    def share(self) -> float:
        """Share the minutes out to each entry with each seed."""
        return self.minutes / (len(self.entries) * self.seeds)

    def record(self) -> dict[str, Any]:
        """Write everything as plain values."""
        runs = {name: str(path.absolute()) for name, path in self.runs.items()}
        values = {"data": str(self.data.absolute()), "settings": dict(self.settings or {}), "runs": runs}
        return {**asdict(self), **values}


def keep_record(study: Study, out: Path) -> None:
    """Write what is compared; another study does not go on in its folder, but may have other runs beside it."""
    record, file = json.loads(json.dumps(study.record())), out / "study.json"
    if file.exists():
        before = read_record(out)
        differing = [name for name, value in record.items() if name != "runs" and before.get(name) != value]
        if differing:
            raise InputError(
                f"out: {out} holds a study with another {', '.join(differing)}; name another --out, "
                "or merge their reports with `delineate report`"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"out: {out} is no empty folder and no study; name another")
    out.mkdir(parents=True, exist_ok=True)
    write_json(file, record)


def read_record(out: Path) -> dict[str, Any]:
    """Read what a study compares, as `Study.record` wrote it; raises `InputError` where `out` holds no study."""
    file = out / "study.json"
    if not file.is_file():
        raise InputError(f"{out}: no study, there is no study.json in it; name a folder that `compare` wrote")
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if "question" in record:  # what earlier studies call their task
        record["task"] = record.pop("question")
    return {"skip_unreadable": False, "runs": {}, "lighter": False, **record}
