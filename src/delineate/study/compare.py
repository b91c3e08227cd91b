"""Several systems are trained under equal conditions on one data set, and measured, as Huang et al. 2017 did.

    study.json                     what is compared, and how
    held_out.txt                   the pictures that are measured on, where the data have no split for it
    entries/NAME/seed-N/run        the run, as `train` leaves it
    entries/NAME/seed-N/result.json   what was measured once it had come to its end
    entries/NAME/seed-N/error.txt  why it did not
    given/                         runs and exports that were trained before (study/given.py)
    results.json, results.csv, report.html

What is finished is kept; what was stopped goes on where it was.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from delineate.data.dataset import Dataset
from delineate.data.proposals import with_proposals
from delineate.evaluation import evaluate_run
from delineate.io.machine import machine
from delineate.io.runs import HELD_OUT
from delineate.models.contract import Say
from delineate.study.given import given_results, measure_given
from delineate.study.grid import Entry, entry_folder
from delineate.study.measuring import measure
from delineate.study.pictures import StudyData, check, keep_source
from delineate.study.plan import Study, keep_record, read_record
from delineate.study.results import Findings, Result, attempt, measured_values, together, write_json, write_tables
from delineate.system.catalog import build, options
from delineate.training import Run, TrainingSettings, resume, train
from delineate.training.backbones import find_published
from delineate.training.budget import lighter
from delineate.training.earlier import as_asked
from delineate.training.pace import pictures_a_second
from delineate.values import InputError, counted

PRETRAINED = {
    "none": "from scratch",
    "auto": "ImageNet weights where this machine has them",
    "download": "timm's ImageNet weights",
}
SAME_PICTURES = {"augment": "scale", "multi_scale": False}
"""What a system's own recipe may not change, so that all see their pictures varied in the same way."""


def compare(study: Study, out: Path, say: Say = print) -> Findings:
    """Train and measure what is not finished yet, and write the tables; where an entry fails, the others go on.

    Raises `InputError` where `out` holds another study, and for data that cannot be read.
    """
    found = check(study, out, say)
    keep_record(study, out)
    found = found._replace(source=keep_source(study, found, out))
    failures = {} if found.train is None else _train(study, out, found.train, found.measured, say)
    failures |= measure_given(
        study.runs, out, found.source, skip_unreadable=study.skip_unreadable, device=study.device, say=say
    )
    results = load_results(out)
    findings = Findings(results=results, failures=failures, facts=_facts(study, found, results))
    write_tables(out, findings)
    return findings


def _train(study: Study, out: Path, train: Dataset, measured: Dataset, say: Say) -> dict[str, str]:
    """Train and measure the entries; return the reasons of those that fail, by name."""
    _search(study, (train, measured), say)
    budgets = _budgets(study, out, train, say)
    failures: dict[str, str] = {}
    for entry in study.entries:
        for seed in range(study.seeds):
            folder, name = _folder(out, entry.name, seed), f"{entry.name}, seed {seed}"
            if (folder / "result.json").exists():
                say(f"{name}: finished before")
                continue
            say(f"{name}: training")
            make = partial(_one, study, entry, seed, folder, budgets[entry.name], measured.files)
            failures |= attempt(name, folder, make, say)
    return failures


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
    return [*results, *given_results({name: Path(path) for name, path in record["runs"].items()}, out)]


def _search(study: Study, parts: tuple[Dataset, Dataset], say: Say) -> None:
    """Find and keep the proposals of entries that take them from selective search: their time is nobody's training."""
    seen: set[str] = set()
    for entry in study.entries:
        with suppress(InputError):  # it will fail in its turn, with a message
            search = build(entry.model, parts[0].categories, **entry.arguments).search
            if search is None or not search.kept or search.settings in seen:
                continue
            seen.add(search.settings)
            say(f"{entry.name}: searching for proposals")
            for part in parts:
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
    costs = measure(run, files, device=study.device)
    return Result(
        name=entry.name,
        model=entry.model,
        arguments=dict(entry.arguments),
        **measured_values(evaluation, costs),
        seeds=[seed],
        training_seconds=trained.seconds,
        pictures=trained.pictures,
        size=Run(run).best.stat().st_size,
        machine=machine(study.device),
        folders=(str(run.absolute()),),
    )


def _settings(study: Study, entry: Entry, seed: int, out: Path, budget: Mapping[str, Any]) -> TrainingSettings:
    common = dict(study.settings or {})
    if entry in _from_scratch(study):
        del common["pretrained"]
    settings = TrainingSettings(
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
            **common,
            **entry.settings,
            **budget,
        },
    )
    return lighter(settings, {*common, *entry.settings, *entry.arguments}) if study.lighter else settings


def _from_scratch(study: Study) -> list[Entry]:
    """List the entries without a choice of backbones where others begin with weights of theirs."""
    pretrained = (study.settings or {}).get("pretrained", "none") != "none"
    return [entry for entry in study.entries if pretrained and "backbone" not in options(entry.model)]


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
                settings, _ = find_published(_settings(study, entry, 0, out / "pace", {"epochs": 1}))
                paces[entry.name] = pictures_a_second(as_asked(settings)[0], train)
            except Exception as error:  # it will fail in its turn, with a message
                say(f"{entry.name}: {error}")
        write_json(file, paces)
    paces = json.loads(file.read_text())
    seconds_an_epoch = sum(len(train) / pace for pace in paces.values())
    epochs = max(1, round(60 * study.minutes / (study.seeds * max(seconds_an_epoch, 1e-9))))
    return {entry.name: {"epochs": epochs} for entry in study.entries}


def _facts(study: Study, found: StudyData, results: Sequence[Result]) -> dict[str, str]:
    trained_on = f"trained on split {study.train_split}, " if study.entries else ""
    left_out = f", but for {counted(found.skipped, 'picture')} that cannot be read" if found.skipped else ""
    facts = {"data": f"{study.data}, {trained_on}measured on {found.source.part}{left_out}"}
    given = [result.name for result in results if not result.seeds]
    if study.entries:
        share = f"{study.share:.3g} minutes of training" if study.fair == "time" else "as many pictures seen"
        seeds = f"{study.seeds} seed{'s' if study.seeds > 1 else ''}"
        but_for = f"; not for {', '.join(given)}, trained before" if given else ""
        weights = PRETRAINED[(study.settings or {}).get("pretrained", "none")]
        form = ", each in its lighter form" if study.lighter else ""
        if without := [entry.name for entry in _from_scratch(study)]:
            form += f"; {', '.join(without)} from scratch, without a choice of backbones"
        facts["equal for all"] = f"{weights}, {share}, {seeds}, split, schedule, augmentation{form}{but_for}"
    if found.learned:
        facts["trained on pictures that are measured, and so better there"] = found.learned
    return facts | {"measured on": ", ".join(dict.fromkeys(result.machine for result in results if result.machine))}


def _folder(out: Path, name: str, seed: int) -> Path:
    return entry_folder(out, name) / f"seed-{seed}"
