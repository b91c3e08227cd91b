"""A study trains on some pictures, and measures on others; what is in them is said before any time is spent."""

import shutil
from pathlib import Path
from typing import NamedTuple

from delineate.data.census import check_census
from delineate.data.counting import take_census
from delineate.data.dataset import Dataset, Part
from delineate.data.folders import home_of
from delineate.data.formats import find_split
from delineate.data.lists import PictureList
from delineate.data.splits import check_readable, readable
from delineate.evaluation import Source
from delineate.io.runs import HELD_OUT
from delineate.models.contract import Say
from delineate.study.given import check_given, learned_before, pictures_of
from delineate.study.plan import Study, read_record
from delineate.system.tasks import find_task
from delineate.training import TrainingSettings
from delineate.training.data import remember_held_out, training_data
from delineate.values import InputError

FEW_MINUTES = 10
"""Of so few minutes, on a CPU, systems make more in their lighter forms (docs/results.md)."""


class StudyData(NamedTuple):
    """All entries are trained on the same pictures, and all are measured on the same, which come from a `source`.

    So many others of those are `skipped`, as they cannot be read. Runs that `learned` from some of them are named.
    """

    train: Dataset | None
    measured: Dataset
    source: Source
    skipped: int
    learned: str = ""


def check(study: Study, out: Path, say: Say) -> StudyData:
    """Say what is in the data before any time is spent on them, and read what is measured on, each picture once.

    Raises `InputError` for data that cannot be read, of which nothing can be learned, or on which nothing can be
    measured.
    """
    if not study.entries and not study.runs:
        raise InputError("models: nothing to compare; name a system or more")
    found = _read_both(study, out, say) if study.entries else _read_measured(study, out, say)
    task = find_task(study.task)
    check_given(study.runs, task, found.source, found.measured)
    learned = learned_before(study.runs, found.measured)
    if study.entries and study.fair == "time" and study.share <= FEW_MINUTES and not study.lighter:
        say(f"{study.share:.2g} min for each as it is: on a CPU, forms that learn sooner make more of it (--lighter)")
    if learned:
        say(f"trained on pictures that are measured, and so better there than on new ones: {learned}")
    return found._replace(learned=learned)


def _read_both(study: Study, out: Path, say: Say) -> StudyData:
    """Read what to train on and what to measure on."""
    settings = _data_settings(study, out)
    train, val, notes = training_data(settings, find_task(study.task))
    held_out = find_split(study.data, study.split, study.format) is None
    name = f"held out of {study.train_split}" if held_out else study.split
    source = Source(study.data, study.train_split if held_out else study.split, study.format)
    for part, split, purpose in ((train, study.train_split, "learn"), (val, name, "measure")):
        census = take_census(part, skip_unreadable=study.skip_unreadable)
        check_census(census, part, f"{study.data}: split '{split}'", purpose)  # type: ignore[arg-type]
        notes += [census.line(split), *census.remarks(split)]
    for line in notes:
        say(line.replace("--val-split", "--split"))
    skipped = len(val.whole) - len(val) if study.skip_unreadable and isinstance(val, Part) else 0
    return StudyData(train, val, source, skipped)


def _read_measured(study: Study, out: Path, say: Say) -> StudyData:
    """Read what to measure on alone."""
    source = _source(out, study.data, study.train_split, study.split, study.format)
    if source.held_out is None:
        source = pictures_of(source, study.train_split, study.runs)
    pictures = whole = source.read(find_task(study.task), skip_unreadable=study.skip_unreadable)
    notes = list(pictures.problems)
    if study.skip_unreadable:
        pictures = readable(whole, notes)
    else:
        check_readable(whole)
    census = take_census(pictures, skip_unreadable=study.skip_unreadable)
    check_census(census, pictures, f"{study.data}: {source.part}", "measure")
    for line in (*notes, census.line(source.part)):
        say(line)
    return StudyData(None, pictures, source, len(whole) - len(pictures))


def keep_source(study: Study, found: StudyData, out: Path) -> Source:
    """Write which pictures are held out, if any are; with this list it is known where the measured ones come from."""
    held_out = found.source.held_out
    if found.train is not None:
        remember_held_out(out, _data_settings(study, out), found.measured)
    elif held_out is not None and held_out.source != out / HELD_OUT:
        shutil.copyfile(held_out.source, out / HELD_OUT)
    return _source(out, study.data, study.train_split, study.split, study.format)


def measured_data(out: Path) -> Dataset:
    """Read the pictures that a study is measured on; raises `InputError` where they are gone."""
    record = read_record(out)
    source = _source(out, Path(record["data"]), record["train_split"], record["split"], record["format"])
    dataset = source.read(find_task(record["task"]), skip_unreadable=record["skip_unreadable"])
    return readable(dataset, []) if record["skip_unreadable"] else dataset


def _source(out: Path, data: Path, train_split: str, split: str, format: str | None) -> Source:  # noqa: A002
    """Find what a study is measured on: the split, or the pictures of its list."""
    held_out = out / HELD_OUT
    if held_out.is_file():
        return Source(data, train_split, format, PictureList(held_out, home_of(data)))
    return Source(data, split, format)


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
