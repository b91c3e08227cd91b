"""A system is measured on a split of a data set, or on what its run held out of its own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delineate.artefact import is_export, read_record
from delineate.data.census import check_census
from delineate.data.counting import take_census
from delineate.data.dataset import Dataset, Part
from delineate.data.folders import home_of
from delineate.data.formats import find_split
from delineate.data.lists import PictureList
from delineate.data.proposals import with_proposals
from delineate.data.splits import Watch, check_names, read_split, readable
from delineate.io.runs import HELD_OUT, find_checkpoint
from delineate.models.contract import Say
from delineate.system.system import System
from delineate.values import Content, InputError, Task


@dataclass(frozen=True)
class Source:
    """Pictures to measure on are a split of the data, or of it what a run held out, or with `learned` all but that."""

    data: Path
    split: str = "val"
    format: str | None = None
    held_out: PictureList | None = None
    learned: bool = False

    @property
    def part(self) -> str:
        """Name the pictures among those of the data."""
        if self.held_out is None:
            return f"split {self.split}"
        return f"split {self.split} without what was held out" if self.learned else f"held out of split {self.split}"

    def read(self, task: Task, needs: frozenset[Content] | None = None, *, skip_unreadable: bool = False) -> Dataset:
        """Read the pictures; raises `InputError` where the data changed since the run held some out."""
        held_out = self.held_out
        if held_out is not None and find_split(self.data, self.split, self.format) is None:
            raise InputError(
                f"{held_out.source}: it is of split '{self.split}', which {self.data} has not any more; delete the "
                "lists that divide it now, or name the data to measure on, and --split"
            )
        dataset = read_split(self.data, self.split, task, self.format, needs=needs, skip_unreadable=skip_unreadable)
        if held_out is None:
            return dataset
        rows = held_out.rows(dataset.files, "put it back, or name the data to measure on")
        return Part(dataset, sorted(set(range(len(dataset))) - set(rows)) if self.learned else rows)


def own_source(run: Path, split: str | None = None, *, learned: bool = False) -> Source:
    """Find what a run is measured on by itself: its split to validate on, or what it held out, or another split.

    An export is measured on what its run is, and with `learned` it is what the run was trained on. Raises `InputError`
    where the run, or its data, are not there.
    """
    folder = find_checkpoint(Path(read_record(run).run) if is_export(run) else run).parent
    settings = folder / "settings.json"
    if not settings.is_file():
        raise InputError(f"{run}: no settings.json beside the weights says what its own data are; name DATA")
    facts: dict[str, Any] = json.loads(settings.read_text(encoding="utf-8"))
    data, trained = Path(facts["data"]), facts["train_split"]
    split = trained if learned else split
    if not data.exists():
        raise InputError(f"{run}: its own data, {data}, are not there any more; name DATA")
    if (folder / HELD_OUT).is_file() and split in (None, trained):
        held_out = PictureList(folder / HELD_OUT, home_of(data))
        return Source(data, trained, facts["format"], held_out, learned=split is not None)
    return Source(data, split or facts["val_split"], facts["format"])


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationData:
    """Pictures are measured on; so many others of `source` cannot be read, and are `skipped`."""

    source: Source
    dataset: Dataset
    skipped: int = 0


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
    dataset = whole = source.read(system.task, system.needs, skip_unreadable=skip_unreadable)
    check_names(system.categories, dataset.categories, system.task, f"{source.data}, {source.part}")
    skipped: list[str] = []
    if skip_unreadable:
        dataset = readable(whole, skipped, watch)
    census = take_census(dataset, None if system.task.crops else system.preprocess)
    check_census(census, dataset, f"{source.data}: {source.part}", "measure")
    for line in (*dataset.problems, *skipped, census.line(source.part)):
        say(line)
    thresholds = system.reader.thresholds
    if thresholds is not None and census.most > (most := thresholds.max_detections):
        say(f"{source.part}: a picture has {census.most} objects, of which {most} are found at most")
    dataset = with_proposals(dataset, system.model.search, source.data)
    return EvaluationData(source=source, dataset=dataset, skipped=len(whole) - len(dataset))
