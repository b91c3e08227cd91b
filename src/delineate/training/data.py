"""A run trains on some pictures, and is validated on others."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch

from delineate.data.counting import take_census
from delineate.data.cutting import OVERLAP
from delineate.data.dataset import Dataset, Part, View
from delineate.data.folders import home_of
from delineate.data.formats import find_split, splits
from delineate.data.formats.layouts import check_split
from delineate.data.lists import PictureList
from delineate.data.splits import Watch, check_names, check_readable, looked_over, read_split, readable, shared
from delineate.data.tiles import Tiles
from delineate.io.runs import HELD_OUT, TRAINED_ON
from delineate.system.catalog import needs
from delineate.training.settings import TrainingSettings
from delineate.values import InputError, Task, counted, listed

HELD_OUT_SHARE = 0.15


class HeldOut(Part):
    """These pictures are held out of those that are trained on."""


def training_data(settings: TrainingSettings, task: Task, watch: Watch = iter) -> tuple[Dataset, Dataset, list[str]]:
    """Read what to train on and what to validate on; with them come the lines to show of both.

    Without the validation split, 15 % of the training split are held out, chosen by the seed. What cannot be read is
    found before time is spent, and raises `InputError` or is left out: what is validated on is decoded once, and of
    what is trained on, which would take too long, annotations are read, and how files begin and end.
    """
    check_split(settings.data, settings.train_split, splits(settings.data, settings.format), "--train-split")
    read = partial(
        read_split,
        settings.data,
        task=task,
        format=settings.format,
        needs=needs(settings.model, settings.arguments),
        skip_unreadable=settings.skip_unreadable,
    )
    train = read(settings.train_split)
    notes = [*train.problems]
    train = looked_over(train, notes, skip_unreadable=settings.skip_unreadable)
    notes += _of_one_object(train, task)
    if find_split(settings.data, settings.val_split, settings.format) is not None:
        _check_not_divided_since(settings)
        val = read(settings.val_split)
        check_names(train.categories, val.categories, task, f"split '{settings.val_split}' of {settings.data}")
        notes += [*val.problems, *_on_both_sides(train, val, settings)]
    else:
        train, val = _hold_out(train, settings, notes)
    if settings.skip_unreadable:
        val = readable(val, notes, watch)
    else:
        check_readable(val, watch)
    return (*_in_tiles(train, val, settings, task, notes), notes)


def _in_tiles(
    train: Dataset, val: Dataset, settings: TrainingSettings, task: Task, notes: list[str]
) -> tuple[Dataset, Dataset]:
    """Cut the pictures of both parts where the settings say so; a line says into how many tiles."""
    if settings.tile is None:
        return train, val
    parts = [tiled(part, settings, task) for part in (train, val)]
    cut = [
        f"{counted(len(whole), 'picture')} are {counted(len(tiles), 'tile')}"
        for whole, tiles in zip((train, val), parts, strict=True)
    ]
    notes.append(f"in tiles of {settings.tile} pixels, {cut[0]} to train on, and {cut[1]} to validate on")
    return parts[0], parts[1]


def tiled(dataset: Dataset, settings: TrainingSettings, task: Task) -> Dataset:
    """Cut the pictures into tiles where the settings say so; `InputError` where each tile would have the one object."""
    if settings.tile is None:
        return dataset
    if not task.finds_many and "label_map" not in task.needs:
        raise InputError(f"tile: {settings.model} finds {task.finds}, of which every tile would have one; leave it out")
    return Tiles(dataset, settings.tile, min(OVERLAP, settings.tile // 2))


def _check_not_divided_since(settings: TrainingSettings) -> None:
    """Raise `InputError` where a run that held pictures out goes on with data that have a split to validate on now."""
    if settings.out and (settings.out / HELD_OUT).is_file():
        raise InputError(
            f"{settings.data}: it has a split '{settings.val_split}' now, and {settings.out} held pictures out of "
            f"'{settings.train_split}'; give the data the split back as it was, or begin anew in another folder"
        )


def _on_both_sides(train: Dataset, val: Dataset, settings: TrainingSettings) -> list[str]:
    """Say which pictures are trained on and measured on."""
    both = shared(val.files, train.files)
    if not both:
        return []
    return [
        f"{settings.data}: {counted(len(both), 'picture')} of '{settings.val_split}' in '{settings.train_split}', too "
        f"({listed(file.name for file in both)}), so that what is measured is better than on new pictures; remove them "
        "from one side, or divide the pictures with `delineate split`"
    ]


def _of_one_object(dataset: Dataset, task: Task) -> list[str]:
    """Count the pictures that do not hold just one object, where systems are of one; the line says how many."""
    if task.crops:
        return [f"{len(dataset)} annotated bodies, each learned from its own crop"]
    if task.finds_many or "boxes" not in task.needs:
        return []
    counts = []
    for index in range(len(dataset)):
        with suppress(InputError):  # raised again where the picture is read
            counts.append(int((~dataset.target(index, dataset.size(index)).ignored).sum()))
    several, none = sum(count > 1 for count in counts), sum(count == 0 for count in counts)
    note = f"{several} of {len(counts)} pictures hold several objects, of which the largest is learned"
    return [note + (f"; {none} hold none, and teach nothing" if none else "")] if several or none else []


def remember_trained_on(folder: Path, settings: TrainingSettings, train: Dataset) -> None:
    """Write which pictures are trained on, so that it is known later of what is measured."""
    comment = f"trained on, of '{settings.train_split}' in {settings.data}"
    PictureList.write(folder / TRAINED_ON, home_of(settings.data), comment, train.files)


def remember_held_out(folder: Path, settings: TrainingSettings, val: Dataset | None) -> None:
    """Write which pictures were held out, if any were: `val` measures these, and a resumed run holds out the same.

    Those that cannot be read are among them.
    """
    while isinstance(val, View) and not isinstance(val, HeldOut):
        val = val.whole
    if isinstance(val, HeldOut):
        comment = f"held out of '{settings.train_split}' in {settings.data}"
        PictureList.write(folder / HELD_OUT, home_of(settings.data), comment, val.files)


def _hold_out(train: Dataset, settings: TrainingSettings, notes: list[str]) -> tuple[Dataset, Dataset]:
    """Divide the training pictures as the list in the run's folder says, or else by the seed."""
    if len(train) < 2:
        raise InputError(f"{settings.data}: one picture and no split '{settings.val_split}'; a second one is needed")
    files = list(dict.fromkeys(train.files))  # a picture may come more than once, by its bodies
    before = (settings.out or Path()) / HELD_OUT
    if settings.out and before.is_file():
        kept = PictureList(before, home_of(settings.data))
        if not settings.skip_unreadable:
            kept.check_there(files, "put it back, pass over it with --skip-unreadable, or begin a new run")
        held_out = {files[row] for row in kept.rows(files)}
    else:
        order = torch.randperm(len(files), generator=torch.Generator().manual_seed(settings.seed)).tolist()
        held_out = _chosen([files[place] for place in order], _with_objects(train, settings))
    parts: tuple[list[int], list[int]] = [], []
    for index, file in enumerate(train.files):
        parts[file in held_out].append(index)
    if not held_out:
        notes.append(f"no split '{settings.val_split}', and one picture with objects alone, which is trained on")
        return train, Part(train, [])
    mine = find_split(settings.data, settings.train_split, settings.format)
    others = [name for name in splits(settings.data, settings.format) if name != mine]
    other = f"; --val-split names another split ({listed(others)})" if others else ""
    notes.append(
        f"no split '{settings.val_split}': validating on {len(held_out)} of the {counted(len(files), 'picture')} of "
        f"'{settings.train_split}', which are not trained on; near-duplicates may be on both sides, which "
        f"`delineate split` keeps together{other}"
    )
    return Part(train, parts[False]), HeldOut(train, parts[True])


def _with_objects(train: Dataset, settings: TrainingSettings) -> set[Path]:
    """Find the pictures with an object that counts; of label maps, each picture has something."""
    counts = take_census(train, skip_unreadable=settings.skip_unreadable).counts or [1] * len(train)
    return {file for file, count in zip(train.files, counts, strict=True) if count}


def _chosen(files: Sequence[Path], with_objects: set[Path]) -> set[Path]:
    """Choose 15 % of the pictures with objects, and of those without; where one alone has any, it is learned from."""
    filled = [file for file in files if file in with_objects]
    empty = [file for file in files if file not in with_objects]
    if len(filled) < 2:
        return set()
    return {*filled[: max(1, round(HELD_OUT_SHARE * len(filled)))], *empty[: round(HELD_OUT_SHARE * len(empty))]}
