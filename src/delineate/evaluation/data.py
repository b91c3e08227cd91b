"""A system is measured on a split of a data set, or on what its run held out of its own."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from delineate.artefact import is_export, read_record
from delineate.data.census import check_census
from delineate.data.counting import take_census
from delineate.data.dataset import Dataset, Part
from delineate.data.folders import home_of
from delineate.data.formats import find_split, splits
from delineate.data.lists import PictureList
from delineate.data.proposals import with_proposals
from delineate.data.splits import Watch, check_names, left_out, looked_over, read_split, readable, shared
from delineate.io.runs import HELD_OUT, TRAINED_ON, find_checkpoint
from delineate.models.contract import Say
from delineate.system.catalog import find_entry
from delineate.system.system import System
from delineate.values import Content, InputError, Task, counted


@dataclass(frozen=True)
class Source:
    """Pictures to measure on are a split of the data, or of it what a run held out, or with `learned` all but that.

    What is measured is a `run`, where it is known.
    """

    data: Path
    split: str = "val"
    format: str | None = None
    held_out: PictureList | None = None
    learned: bool = False
    run: Path | None = None

    @property
    def part(self) -> str:
        """Name the pictures among those of the data."""
        if self.held_out is None:
            return f"split {self.split}"
        return f"split {self.split} without what was held out" if self.learned else f"held out of split {self.split}"

    def read(self, task: Task, needs: frozenset[Content] | None = None, *, skip_unreadable: bool = False) -> Dataset:
        """Read the pictures; raises `InputError` where some that a run held out are gone, unless these are skipped."""
        read = partial(
            read_split, self.data, task=task, format=self.format, needs=needs, skip_unreadable=skip_unreadable
        )
        if self.held_out is None:
            return read(self.split)
        dataset = self._undivided(read, self.held_out)
        if not skip_unreadable:
            mend = "put it back, pass over it (--skip-unreadable), or name the data to measure on"
            self.held_out.check_there(dataset.files, mend)
        rows = self.held_out.rows(dataset.files)
        return Part(dataset, sorted(set(range(len(dataset))) - set(rows)) if self.learned else rows)

    def _undivided(self, read: "partial[Dataset]", held_out: PictureList) -> Dataset:
        """Read the split that pictures were held out of; where the data were divided since, the part that it was."""
        found: list[Dataset] = []
        if find_split(self.data, self.split, self.format) is not None:
            found.append(read(self.split))
            if not held_out.gone(found[0].files):
                return found[0]
        for part in splits(self.data, self.format, divided=False):
            with suppress(InputError):  # another part may not be of this task
                found.append(read(part, divided=False))
        if not found:
            raise InputError(f"{held_out.source}: nothing of {self.data} can be read; name the data to measure on")
        return min(found, key=lambda dataset: len(held_out.gone(dataset.files)))


def source_of(run: Path, data: Path | None = None, split: str | None = None, format: str | None = None) -> Source:  # noqa: A002
    """Find what a run, or an export, is measured on: a split of `data`, which is `val` if not given.

    Of its own data, which these are where none are given, it is what the run was validated on. Raises `InputError` as
    `own_source`.
    """
    if data is None:
        return own_source(run, split)
    if split is None:
        with suppress(InputError):  # its own data may be gone
            own = own_source(run)
            if own.data.resolve() == data.resolve():
                return replace(own, format=format or own.format)
    return Source(data, split or "val", format, run=run)


def own_source(run: Path, split: str | None = None, *, learned: bool = False) -> Source:
    """Find what a run is measured on by itself: its split to validate on, or what it held out, or another split.

    An export is measured on what its run is, and with `learned` it is what the run was trained on. Raises `InputError`
    where the run, or its data, are not there.
    """
    folder, facts = _settings(run)
    data, trained = Path(facts["data"]), facts["train_split"]
    split = trained if learned else split
    if not data.exists():
        raise InputError(f"{run}: its own data, {data}, are not there any more; name DATA")
    if (folder / HELD_OUT).is_file() and split in (None, trained):
        held_out = PictureList(folder / HELD_OUT, home_of(data))
        return Source(data, trained, facts["format"], held_out, learned=split is not None, run=run)
    return Source(data, split or facts["val_split"], facts["format"], run=run)


def trained_on(run: Path, files: Sequence[Path]) -> list[Path]:
    """Find which of these pictures a run was trained on, or the earlier ones whose weights it began with.

    Nothing is found of runs that are gone.
    """
    found: dict[Path, None] = {}
    seen = set[Path]()
    earlier: Path | None = run
    with suppress(InputError):
        while earlier is not None:
            folder, facts = _settings(earlier)
            if folder in seen:
                break
            seen.add(folder)
            found |= dict.fromkeys(shared(files, _learned(folder, facts)))
            earlier = None if facts.get("weights") is None else Path(facts["weights"])
    return list(found)


def _learned(folder: Path, facts: dict[str, Any]) -> Sequence[Path]:
    """Find what a run was trained on; where an earlier version trained it, its settings say what that should be."""
    if (folder / TRAINED_ON).is_file():
        return [Path(file) for file in PictureList(folder / TRAINED_ON, home_of(Path(facts["data"]))).lines]
    return own_source(folder, learned=True).read(find_entry(facts["model"]).task, skip_unreadable=True).files


def _settings(run: Path) -> tuple[Path, dict[str, Any]]:
    """Find the folder of a run, or of an export's run, and what it was trained by."""
    folder = find_checkpoint(Path(read_record(run).run) if is_export(run) else run).parent
    settings = folder / "settings.json"
    if not settings.is_file():
        raise InputError(f"{run}: no settings.json beside the weights says what its own data are; name DATA")
    facts: dict[str, Any] = json.loads(settings.read_text(encoding="utf-8"))
    return folder, facts


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationData:
    """Pictures are measured on; so many others of `source` cannot be read, and are `skipped`.

    So many pictures were `trained_on`.
    """

    source: Source
    dataset: Dataset
    skipped: int = 0
    trained_on: int = 0


def evaluation_data(
    system: System,
    source: Source,
    *,
    skip_unreadable: bool = False,
    say: Say = lambda _: None,
    watch: Watch = iter,
) -> EvaluationData:
    """Read what to measure a system on: with what the task needs, and with kept proposals.

    What is in it is said in lines. Raises `InputError` where the data are not what they should be, when class names
    differ, and where nothing can be measured.
    """
    dataset = source.read(system.task, system.needs, skip_unreadable=skip_unreadable)
    check_names(system.categories, dataset.categories, system.task, f"{source.data}, {source.part}")
    notes = list(dataset.problems)
    dataset = readable(dataset, notes, watch) if skip_unreadable else looked_over(dataset, notes, skip_unreadable=False)
    census = take_census(dataset, None if system.task.crops else system.preprocess)
    check_census(census, dataset, f"{source.data}: {source.part}", "measure")
    known = [] if source.run is None else trained_on(source.run, dataset.files)
    for line in (*notes, census.line(source.part), *_said_of(source, len(known), len(set(dataset.files)))):
        say(line)
    thresholds = system.reader.thresholds
    if thresholds is not None and census.most > (most := thresholds.max_detections):
        say(f"{source.part}: a picture has {census.most} objects, of which {most} are found at most")
    skipped = len(left_out(dataset))
    dataset = with_proposals(dataset, system.model.search, source.data)
    return EvaluationData(source=source, dataset=dataset, skipped=skipped, trained_on=len(known))


def _said_of(source: Source, num_known: int, num_pictures: int) -> list[str]:
    """Say that pictures were trained on, and how to measure on others."""
    if not num_known or source.run is None:
        return []
    verb = "was" if num_known == 1 else "were"
    line = (
        f"{source.part}: {num_known} of {counted(num_pictures, 'picture')} {verb} trained on, so that what is measured "
        "is better than on new pictures"
    )
    with suppress(InputError):  # its own data may be gone
        own = own_source(source.run)
        if replace(own, data=source.data, format=source.format) != source:
            what = "what it was validated on" if own.held_out is None else "what was held out"
            line += f"; `delineate val {source.run}` measures {what}"
    return [line]
