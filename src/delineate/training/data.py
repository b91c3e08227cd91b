"""A run trains on some pictures, and is validated on others."""

from contextlib import suppress

import torch

from delineate.data.dataset import Dataset
from delineate.data.formats import splits
from delineate.data.splits import Part, check_names, read_split, readable
from delineate.system.catalog import needs
from delineate.training.settings import TrainingSettings
from delineate.values import InputError, Task

HELD_OUT = 0.15


def training_data(settings: TrainingSettings, task: Task) -> tuple[Dataset, Dataset, list[str]]:
    """Read what to train on and what to validate on; with them come the lines to show of both.

    Without the validation split, 15 % of the training split are held out, chosen by the seed.
    """
    needed = needs(settings.model, settings.arguments)
    train = read_split(settings.data, settings.train_split, task, settings.format, needs=needed)
    notes = [*train.problems, *_of_one_object(train, task)]
    if settings.val_split in splits(settings.data, settings.format):
        val = read_split(settings.data, settings.val_split, task, settings.format, needs=needed)
        check_names(train.categories, val.categories, task, f"split '{settings.val_split}' of {settings.data}")
        notes += val.problems
    else:
        train, val = _hold_out(train, settings, notes)
    return train, readable(val, notes) if settings.skip_unreadable else val, notes


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


def _hold_out(train: Dataset, settings: TrainingSettings, notes: list[str]) -> tuple[Dataset, Dataset]:
    if len(train) < 2:
        raise InputError(f"{settings.data}: one picture and no split '{settings.val_split}'; a second one is needed")
    files = list(dict.fromkeys(train.files))  # a picture may come more than once, by its bodies
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(settings.seed)).tolist()
    num_held_out = max(1, round(HELD_OUT * len(files)))
    held_out = {files[place] for place in order[:num_held_out]}
    parts: tuple[list[int], list[int]] = [], []
    for index, file in enumerate(train.files):
        parts[file in held_out].append(index)
    notes.append(
        f"no split '{settings.val_split}': validating on {num_held_out} of the {len(files)} pictures of "
        f"'{settings.train_split}', which are not trained on"
    )
    return Part(train, parts[False]), Part(train, parts[True])
