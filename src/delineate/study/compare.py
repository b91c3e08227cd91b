"""Several systems are trained under equal conditions on one data set, and measured, as Huang et al. 2017 did.

    study.json                     what is compared, and how
    held_out.txt                   the pictures that are measured on, where the data have no split for it
    entries/NAME/seed-N/run        the run, as `train` leaves it
    entries/NAME/seed-N/result.json   what was measured once it had come to its end
    entries/NAME/seed-N/error.txt  why it did not
    results.json, results.csv, report.html

What is finished is kept; what was stopped goes on where it was.
"""

import json
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from delineate.data.census import check_census
from delineate.data.counting import take_census
from delineate.data.dataset import Dataset, Part
from delineate.data.folders import home_of
from delineate.data.formats import find_split
from delineate.data.lists import PictureList
from delineate.data.proposals import with_proposals
from delineate.data.splits import readable, spread
from delineate.evaluation import Evaluation, Source, evaluate_run
from delineate.io.machine import machine
from delineate.io.runs import HELD_OUT
from delineate.metrics import error_breakdown
from delineate.study.grid import Entry
from delineate.study.measuring import measure
from delineate.study.results import Findings, Result, together, write_json, write_tables
from delineate.system.catalog import build
from delineate.system.tasks import find_task
from delineate.training import Run, TrainingSettings, resume, train
from delineate.training.data import remember_held_out, training_data
from delineate.training.earlier import as_asked
from delineate.training.pace import pictures_a_second
from delineate.values import InputError, counted

SAME_PICTURES = {"augment": "scale", "multi_scale": False}
"""What a system's own recipe may not change, so that all see their pictures varied in the same way."""
NUM_TIMED = 8
"""Pictures on which a system's time is measured."""
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study compares entries, each once with each seed, on the same splits, for an equal share of `minutes`.

    `task` is the name of what all entries find. `fair` says what is equal: the time, or with `images` the number of
    pictures that each entry sees, such that all together take about `minutes`. Without the split to measure on,
    pictures are held out as in `train`, the same for all.
    """

    data: Path
    task: str
    entries: Sequence[Entry]
    minutes: float
    fair: Literal["time", "images"] = "time"
    seeds: int = 1
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
        return {**asdict(self), "data": str(self.data.absolute()), "settings": dict(self.settings or {})}


class StudyData(NamedTuple):
    """All entries are trained on the same pictures and measured on the same, which have a `name`.

    So many others of those are `skipped`, as they cannot be read.
    """

    train: Dataset
    measured: Dataset
    name: str
    skipped: int


def compare(study: Study, out: Path, say: Say = print) -> Findings:
    """Train and measure what is not finished yet, and write the tables; where an entry fails, the others go on.

    Raises `InputError` where `out` holds another study, and for data that cannot be read.
    """
    found = check(study, out, say)
    _keep_record(study, out)
    remember_held_out(out, _data_settings(study, out), found.measured)
    _search(study, found, say)
    budgets = _budgets(study, out, found.train, say)
    failures: dict[str, str] = {}
    for entry in study.entries:
        for seed in range(study.seeds):
            folder = _folder(out, entry.name, seed)
            if (folder / "result.json").exists():
                say(f"{entry.name}, seed {seed}: finished before")
                continue
            say(f"{entry.name}, seed {seed}: training")
            try:
                result = _one(study, entry, seed, folder, budgets[entry.name], found.measured.files)
            except Exception as error:  # whatever it is, the others go on
                line = f"{type(error).__name__}: {error}" if not isinstance(error, InputError) else str(error)
                failures[f"{entry.name}, seed {seed}"] = line
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
                say(f"{entry.name}, seed {seed}: failed: {line}")
                continue
            write_json(folder / "result.json", asdict(result))
            (folder / "error.txt").unlink(missing_ok=True)
            say(f"{entry.name}, seed {seed}: {result.metric} {result.accuracy:.4f}, {result.throughput:.3g} pictures/s")
    results = load_results(out)
    findings = Findings(results=results, failures=failures, facts=_facts(study, found, results))
    write_tables(out, findings)
    return findings


def check(study: Study, out: Path, say: Say) -> StudyData:
    """Say what is in the data before any time is spent on them, and read what is measured on, each picture once.

    Raises `InputError` for data that cannot be read, of which nothing can be learned, or on which nothing can be
    measured.
    """
    if not study.entries:
        raise InputError("models: nothing to compare; name a system or more")
    settings = _data_settings(study, out)
    train, val, notes = training_data(settings, find_task(study.task))
    held_out = find_split(study.data, study.split, study.format) is None
    name = f"held out of {study.train_split}" if held_out else study.split
    for part, split, purpose in ((train, study.train_split, "learn"), (val, name, "measure")):
        census = take_census(part, skip_unreadable=study.skip_unreadable)
        check_census(census, part, f"{study.data}: split '{split}'", purpose)  # type: ignore[arg-type]
        notes += [census.line(split), *census.remarks(split)]
    for line in notes:
        say(line.replace("--val-split", "--split"))
    skipped = len(val.whole) - len(val) if study.skip_unreadable and isinstance(val, Part) else 0
    return StudyData(train, val, name, skipped)


def measured_data(out: Path) -> Dataset:
    """Read the pictures that a study is measured on; raises `InputError` where they are gone."""
    record, held_out = read_record(out), out / HELD_OUT
    data, splits = Path(record["data"]), (record["train_split"], record["split"])
    source = Source(data, splits[1], record["format"])
    if held_out.is_file():
        source = Source(data, splits[0], record["format"], PictureList(held_out, home_of(data)))
    dataset = source.read(find_task(record["task"]), skip_unreadable=record["skip_unreadable"])
    return readable(dataset, []) if record["skip_unreadable"] else dataset


def _data_settings(study: Study, out: Path) -> TrainingSettings:
    """Say by what a training reads its data: pictures are held out by one seed for all."""
    return TrainingSettings(
        model=study.entries[0].model,
        data=study.data,
        train_split=study.train_split,
        val_split=study.split,
        format=study.format,
        skip_unreadable=study.skip_unreadable,
        out=out,
    )


def load_results(out: Path) -> list[Result]:
    """Read the finished entries of a study, the seeds of each together, in the order of the grid.

    Raises `InputError` where `out` holds no study.
    """
    record = read_record(out)
    results = []
    for entry in record["entries"]:
        files = [_folder(out, entry["name"], seed) / "result.json" for seed in range(record["seeds"])]
        files = [file for file in files if file.exists()]
        if files:
            results.append(together([Result.read(json.loads(file.read_text())) for file in files]))
    return results


def _search(study: Study, found: StudyData, say: Say) -> None:
    """Find and keep the proposals of entries that take them from selective search: their time is nobody's training."""
    seen: set[str] = set()
    for entry in study.entries:
        with suppress(InputError):  # it will fail in its turn, with a message
            search = build(entry.model, found.train.categories, **entry.arguments).search
            if search is None or not search.kept or search.settings in seen:
                continue
            seen.add(search.settings)
            say(f"{entry.name}: searching for proposals")
            for part in (found.train, found.measured):
                proposed = with_proposals(part, search, study.data)
                for index in range(len(proposed)):
                    with suppress(InputError):
                        proposed[index]


def _one(
    study: Study, entry: Entry, seed: int, folder: Path, budget: Mapping[str, Any], files: Sequence[Path]
) -> Result:
    """Train one entry, or go on with it, and measure it."""
    run = folder / "run"
    begun, held_out = (run / "settings.json").exists(), folder.parents[2] / HELD_OUT
    if held_out.is_file() and not begun:  # the same pictures for all
        run.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(held_out, run / HELD_OUT)
    trained = resume(run) if begun else train(_settings(study, entry, seed, run, budget), lighter=False)
    evaluation = evaluate_run(run, skip_unreadable=study.skip_unreadable, device=study.device)
    costs = measure(run, [files[place] for place in spread(len(files), NUM_TIMED)], device=study.device)
    metrics = {name: value for name, value in evaluation.metrics.items() if "/" not in name}
    return Result(
        name=entry.name,
        model=entry.model,
        arguments=dict(entry.arguments),
        metric=next(iter(metrics)),
        metrics=metrics,
        spread=dict.fromkeys(metrics, 0.0),
        per_class=evaluation.per_class,
        errors=_errors(evaluation),
        protocol=evaluation.protocol,
        seeds=[seed],
        **vars(costs),
        training_seconds=trained.seconds,
        pictures=trained.pictures,
        size=Run(run).best.stat().st_size,
        machine=machine(study.device),
        folders=(str(run.absolute()),),
    )


def _errors(evaluation: Evaluation) -> dict[str, float]:
    """Break the errors of a system that detects down as TIDE does."""
    if evaluation.objects is None:
        return {}
    objects = evaluation.objects
    return dict(error_breakdown(objects.detections, objects.targets, len(evaluation.names) - 1).gains)


def _settings(study: Study, entry: Entry, seed: int, out: Path, budget: Mapping[str, Any]) -> TrainingSettings:
    return TrainingSettings(
        model=entry.model,
        data=study.data,
        arguments=dict(entry.arguments),
        **{
            "train_split": study.train_split,
            "val_split": study.split,
            "format": study.format,
            "skip_unreadable": study.skip_unreadable,
            "device": study.device,
            "seed": seed,
            "out": out,
            "val_every": 0,  # the last weights are measured: a validation would choose by what it measures
            **SAME_PICTURES,
            **(study.settings or {}),
            **entry.settings,
            **budget,
        },
    )


def _budgets(study: Study, out: Path, train: Dataset, say: Say) -> dict[str, dict[str, Any]]:
    """Say each entry's budget, as settings; with `images` it is measured once and kept."""
    if study.fair == "time":
        return {entry.name: {"minutes": study.share} for entry in study.entries}
    file = out / "pace.json"
    if not file.exists():
        say("measuring how fast each one learns")
        paces = {}
        for entry in study.entries:
            try:
                paces[entry.name] = pictures_a_second(
                    as_asked(_settings(study, entry, 0, out / "pace", {"epochs": 1}))[0], train
                )
            except Exception as error:  # it will fail in its turn, with a message
                say(f"{entry.name}: {error}")
        write_json(file, paces)
    paces = json.loads(file.read_text())
    seconds_an_epoch = sum(len(train) / pace for pace in paces.values())
    epochs = max(1, round(60 * study.minutes / (study.seeds * max(seconds_an_epoch, 1e-9))))
    return {entry.name: {"epochs": epochs} for entry in study.entries}


def _keep_record(study: Study, out: Path) -> None:
    """Write what is compared; another study does not go on in its folder."""
    record, file = json.loads(json.dumps(study.record())), out / "study.json"
    if file.exists():
        before = read_record(out)
        differing = [name for name, value in record.items() if before.get(name) != value]
        if differing:
            raise InputError(
                f"out: {out} holds a study with another {', '.join(differing)}; name another --out, "
                "or merge their reports with `delineate report`"
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
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
    record.setdefault("skip_unreadable", False)
    return record


def _facts(study: Study, found: StudyData, results: Sequence[Result]) -> dict[str, str]:
    share = f"{study.share:.3g} minutes of training" if study.fair == "time" else "as many pictures seen"
    seeds = f"{study.seeds} seed{'s' if study.seeds > 1 else ''}"
    left_out = f", but for {counted(found.skipped, 'picture')} that cannot be read" if found.skipped else ""
    return {
        "data": f"{study.data}, trained on '{study.train_split}', measured on '{found.name}'{left_out}",
        "equal for all": f"{share}, {seeds}, split, schedule, augmentation",
        "measured on": ", ".join(dict.fromkeys(result.machine for result in results if result.machine)),
    }


def _folder(out: Path, name: str, seed: int) -> Path:
    return out / "entries" / name.replace("/", "_").replace(" ", "_") / f"seed-{seed}"
