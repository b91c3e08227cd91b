"""The objects of a data set are held against the anchors, cells or queries of a system that is to learn them.

An object is lost on a system whose loss would give it nothing of its own to learn by: no anchor that overlaps it well,
a cell that another object has already, no place of its size within it, no query that is left.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from delineate.data.preprocess import Preprocess
from delineate.doctor.checks.splits import is_learned
from delineate.doctor.checks.tally import Tally
from delineate.doctor.records import Hit, Size
from delineate.models.capacity import Capacity, Objects
from delineate.ops.boxes import scale_boxes
from delineate.system.catalog import build, find_entry
from delineate.training.settings import TrainingSettings
from delineate.values import Categories, InputError, counted


def unmatched(tallies: Sequence[Tally], name: str) -> Iterator[tuple[Hit, dict[str, Any]]]:
    """Find the objects to learn from that are below a pixel where the system sees them, or that are lost on it.

    Raises `InputError` for a system that can learn whatever lies in a picture.
    """
    if not find_entry(name).task.finds_many:
        raise InputError(f"for: {name} finds no objects among others; leave it out, or name a detector")
    names = tuple(dict.fromkeys(name for tally in tallies for name in (*tally.part.names, *sorted(tally.classes))))
    model = build(name, Categories(class_names=names or ("object",))).eval()
    preprocess = _preprocess(name, model.input_size)
    learned = [tally for tally in tallies if is_learned(tally.part.split)]
    pictures = [_resized(found, size, preprocess) for tally in learned for _, size, found in tally.boxes]
    capacity = model.capacity(pictures)
    if capacity is None:
        what = "objects wherever they are; leave it out"
        searched = "proposals wherever they are; `delineate propose` measures those"
        raise InputError(f"for: {name} learns from {what if model.search is None else searched}")
    for tally in learned:
        yield from _of_split(tally, name, preprocess, capacity)


def _of_split(
    tally: Tally, name: str, preprocess: Preprocess, capacity: Capacity
) -> Iterator[tuple[Hit, dict[str, Any]]]:
    total = sum(len(found) for *_, found in tally.boxes)
    for record, size, found in tally.boxes:
        resized, objects = preprocess.resized(size), _resized(found, size, preprocess)
        small = ((objects[:, 2:] - objects[:, :2]) < 1).any(1)
        without = ~small & capacity.lost(objects, resized) if len(objects) else small
        places = list(found)
        things = [thing.in_pixels(size) for thing in tally.part.things(record)[0]] if (small | without).any() else []
        at = f"at {resized[0]} x {resized[1]} pixels"
        for kind, rows, said in (("too-small", small, ""), ("unmatched", without, f": {capacity.why}")):
            for row in rows.nonzero().flatten().tolist():
                width, height = (objects[row, 2:] - objects[row, :2]).tolist()
                detail = f"{width:.1f} x {height:.1f} {at} of {name}{said}; of {counted(total, 'object')}"
                yield Hit(kind, "", detail, (places[row],)), {"record": record, "things": things}


def _resized(found: Any, size: Size, preprocess: Preprocess) -> Objects:
    return scale_boxes(torch.tensor(list(found.values())).view(-1, 4), size, preprocess.resized(size))


def _preprocess(name: str, input_size: Size | None) -> Preprocess:
    """Resize pictures as a training of the system does whose settings are those of the catalog."""
    fields, recipe = TrainingSettings.model_fields, find_entry(name).recipe
    short, long = (recipe.get(side, fields[side].default) for side in ("short_side", "long_side"))
    return Preprocess(short_side=short, long_side=long, size=input_size)
