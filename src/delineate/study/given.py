"""Runs and exports are given to a study as they are: it trains them no further, and measures them on its pictures.

given/KEY/files.json     the hashes of what was measured
given/KEY/result.json    as of an entry that was trained
given/KEY/error.txt      why it could not be measured
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from delineate.artefact import is_export, load_system, read_record
from delineate.artefact.record import RECORD, hashes
from delineate.data.dataset import Dataset
from delineate.data.formats import find_split
from delineate.data.splits import check_names
from delineate.evaluation import Source, evaluate, evaluation_data, own_source
from delineate.evaluation.data import trained_on
from delineate.io.machine import machine
from delineate.io.runs import find_checkpoint
from delineate.models.contract import Say
from delineate.study.grid import Entry, entry_folder
from delineate.study.measuring import measure
from delineate.study.results import Result, attempt, measured_values, write_json
from delineate.system.catalog import find_entry
from delineate.system.checkpoint import read_facts
from delineate.training import Run
from delineate.values import Categories, InputError, Task


@dataclass(frozen=True, kw_only=True)
class Given:
    """A file of weights, or the folder of an export, is at `path`; `files` beside it, or in it, make it what it is.

    `weights` are those that an export was made of, which may be gone, and `exported` says to what.
    """

    path: Path
    files: Sequence[str]
    weights: Path
    system: str
    arguments: Mapping[str, Any]
    categories: Categories
    exported: str = ""

    @property
    def folder(self) -> Path:
        """Its files are in this folder."""
        return self.path if self.exported else self.path.parent

    @property
    def size(self) -> int:
        """Its weights have so many bytes."""
        return sum((self.folder / name).stat().st_size for name in self.files if name != RECORD)


def read_given(path: Path) -> Given:
    """Read what a run or an export says of itself; raises `InputError` where it is none."""
    if not is_export(path):
        file = find_checkpoint(path).resolve()
        facts = read_facts(file)
        return Given(
            path=file,
            files=[file.name],
            weights=file,
            system=facts.system,
            arguments=facts.arguments,
            categories=facts.categories,
        )
    record = read_record(path)
    return Given(
        path=path.resolve(),
        files=[*record.files, RECORD],
        weights=Path(record.run).resolve(),
        system=record.system,
        arguments=record.arguments,
        categories=record.categories,
        exported=f"{record.target} {record.precision}",
    )


def task_of(paths: Sequence[Path]) -> str:
    """Name the task of the first run or export; `check_given` holds the others to it."""
    return find_entry(read_given(paths[0]).system).task.name


def name_given(paths: Sequence[Path], entries: Sequence[Entry] = (), out: Path = Path()) -> dict[str, Path]:
    """Name runs by their system, and exports by that and by what they are: `ssd`, `ssd onnx fp32`.

    Those of a study's own entries are named as these, and the runs themselves left out, as they have their rows. What
    would have one name is told apart by the folders. Raises `InputError` where there is no such run.
    """
    homes = {entry.name: entry_folder(out, entry.name).resolve() for entry in entries}
    own, others, given = dict[Path, str](), dict[Path, str](), dict[Path, Given]()
    for its in map(read_given, paths):
        entry = next((name for name, home in homes.items() if its.weights.is_relative_to(home)), None)
        if entry is None:
            others[its.weights] = its.system
        elif its.exported:
            own[its.weights] = entry
        else:
            continue
        given[its.path] = its
    taken = {name: home / "seed-0" / "run" / "best.safetensors" for name, home in homes.items()}
    runs = _told_apart(own) | _told_apart(others, taken)
    names = _told_apart({path: f"{runs[its.weights]} {its.exported}".strip() for path, its in given.items()})
    return {name: path for path, name in names.items()}


def _told_apart(names: Mapping[Path, str], taken: Mapping[str, Path] = {}) -> dict[Path, str]:
    """Add to names that several have, or that are `taken`, what differs in their paths."""
    told = {}
    for path, name in names.items():
        alike = [other for other, its in names.items() if its == name]
        others = [*alike, *([taken[name]] if name in taken else [])]
        told[path] = name if len(others) == 1 else f"{name} ({_differing(path, others)})"
    return told


def _differing(path: Path, others: Sequence[Path]) -> str:
    """Take as many of a path's last folders as tell it from others, but for those that all of them end with."""
    while len({other.name for other in others}) == 1:
        path, others = path.parent, [other.parent for other in others]
    count = 1
    while len({other.parts[-count:] for other in others}) < len(others):
        count += 1
    return "/".join(path.parts[-count:])


def pictures_of(source: Source, train_split: str, given: Mapping[str, Path]) -> Source:
    """Find what to measure on where nothing is trained: without that split, what the first run held out of another."""
    if find_split(source.data, source.split, source.format) is None:
        for path in given.values():
            with suppress(InputError):
                own = own_source(path)
                if own.held_out is not None and _same(own, Source(source.data, train_split)):
                    return replace(source, split=train_split, held_out=own.held_out)
    return source


def check_given(given: Mapping[str, Path], task: Task, source: Source, pictures: Dataset) -> None:
    """Raise `InputError` for what finds something else, or names its classes in another way, than is measured."""
    for path in given.values():
        its = read_given(path)
        found = find_entry(its.system).task
        if found != task:
            raise InputError(
                f"runs: {path} is a {its.system}, of the task {found.name}, and '{task.name}' is compared; "
                "compare those of one task"
            )
        check_names(its.categories, pictures.categories, task, f"{source.data}, {source.part}")


def learned_before(given: Mapping[str, Path], pictures: Dataset) -> str:
    """Say which of them were trained on some of the pictures to measure on, as far as their runs tell."""
    files = list(dict.fromkeys(pictures.files))
    weights = {name: read_given(path).weights for name, path in given.items()}
    known = {file: len(trained_on(file, files)) for file in set(weights.values())}
    return ", ".join(f"{name} (on {known[file]} of {len(files)})" for name, file in weights.items() if known[file])


def _same(source: Source, other: Source) -> bool:
    return (source.data.resolve(), source.split) == (other.data.resolve(), other.split)


def measure_given(
    given: Mapping[str, Path], out: Path, source: Source, *, skip_unreadable: bool, device: str, say: Say
) -> dict[str, str]:
    """Measure what was not measured yet, or changed since; return the reasons of those that fail, by name."""
    failures: dict[str, str] = {}
    for name, path in given.items():
        folder, its = _folder(out, path), read_given(path)
        files, known = hashes(its.folder, list(its.files)), folder / "files.json"
        if (folder / "result.json").exists() and json.loads(known.read_text(encoding="utf-8")) == files:
            say(f"{name}: measured before")
            continue
        say(f"{name}: measuring")
        (folder / "result.json").unlink(missing_ok=True)
        write_json(known, files)
        failures |= attempt(name, folder, partial(_result, name, its, source, skip_unreadable, device), say)
    return failures


def given_results(given: Mapping[str, Path], out: Path) -> Iterator[Result]:
    """Read what was measured."""
    for name, path in given.items():
        file = _folder(out, path) / "result.json"
        if file.exists():
            yield replace(Result.read(json.loads(file.read_text(encoding="utf-8"))), name=name)


def _folder(out: Path, path: Path) -> Path:
    path = path.resolve()
    return out / "given" / f"{path.name}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _result(name: str, given: Given, source: Source, skip_unreadable: bool, device: str) -> Result:
    system = load_system(given.path, device=device)
    pictures = evaluation_data(system, source, skip_unreadable=skip_unreadable).dataset
    evaluation = evaluate(system, pictures)  # in this process, which may have the threads of runtimes
    costs = measure(given.path, pictures.files, device=device)
    trained = (Run(given.weights.parent).read_metrics() or [{}])[-1]
    return Result(
        name=name,
        model=given.system,
        arguments=dict(given.arguments),
        **measured_values(evaluation, costs),
        seeds=[],
        training_seconds=trained.get("seconds", 0.0),
        pictures=round(trained.get("pictures", 0)),
        size=given.size,
        machine=machine(device),
        folders=(str(given.path),),
        exported=given.exported,
    )
