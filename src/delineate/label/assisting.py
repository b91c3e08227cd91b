"""Models help whoever marks: they mark a picture, or make an object of a rough box or a click."""

import base64
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from delineate.data.images import read_image
from delineate.deploy.choosing import choosing
from delineate.label.maps import as_png, as_values
from delineate.label.marks import marks_found
from delineate.label.pictures import Collection, Picture
from delineate.label.prompting import Box, Point, Prompts, around_mask, can_prompt
from delineate.ops.masks import encode_rle
from delineate.system.system import System
from delineate.values import IGNORE, Categories, InputError, LabelMap
from delineate.values.thresholds import MIN_SCORE


def proposed(system: System, picture: Picture, collection: Collection, min_score: float | None) -> dict[str, Any]:
    """Let a model mark a picture: objects that score `min_score`, or what was calibrated, or else 0.5.

    Of what overlaps the best is marked, whatever its class, as each mark has to be looked at; but not of an export, in
    whose graph this is decided. Gives `objects` without keys, or the `label_map` as a PNG in base64; `left_out` counts
    what is of other classes.
    """
    categories = collection.categories
    if min_score is None and system.operating_points is None:
        min_score = MIN_SCORE
    least = min_score if system.reader.thresholds is not None else None
    one_each = {} if system.reader.thresholds is None or system.exported else {"class_agnostic": True}
    system, take = choosing(system, min_score=least, **one_each)
    found = take(system.infer([read_image(picture.file)])[0])
    if isinstance(found, LabelMap):
        if not collection.has_maps:  # what it finds is nothing that is marked here
            return {"objects": [], "left_out": 0}
        return {"objects": [], "label_map": _named_as_ours(found, system.categories, categories), "left_out": 0}
    marks = [] if collection.has_maps else marks_found(found, system.categories)
    mine = [_of_task(mark, collection) for mark in marks if mark["label"] in categories.class_names]
    return {"objects": mine, "left_out": len(marks) - len(mine)}


def prompted(
    systems: Sequence[System],
    prompts: Prompts,
    picture: Picture,
    collection: Collection,
    *,
    box: Box | None = None,
    point: Point | None = None,
    label: str | None = None,
) -> dict[str, Any]:
    """Make an object of a rough box or a point, by the first system that looks at any box, or by selective search.

    Gives an `object` without a key; of a search also the boxes of the `regions` that it was chosen of. Raises
    `InputError` unless there is one of box and point, in the picture.
    """
    if (box is None) == (point is None):
        raise InputError("prompt: give a box [x1, y1, x2, y2], or a point [x, y]")
    names, image = collection.categories.class_names, read_image(picture.file)
    if label is not None and label not in names:
        raise InputError(f"prompt: there is no class '{label}'; there are {', '.join(names)}")
    system = next((one for one in systems if can_prompt(one)), None)
    if system is None:
        boxes, mask = prompts.by_search(picture.id, image, box, point)
        mark = _region(boxes[0].tolist(), mask, label or names[0])
        return {"object": _of_task(mark, collection), "regions": boxes.tolist()}
    known = system.categories.class_names
    number = known.index(label) if label in known else None
    found = around_mask(prompts.by_model(system, picture.id, image, box, point, number))
    (mark,) = marks_found(found, system.categories)
    mark["label"] = label or (mark["label"] if mark["label"] in names else names[0])
    return {"object": _of_task(mark, collection)}


def _of_task(mark: dict[str, Any], collection: Collection) -> dict[str, Any]:
    """Leave out of what a model found what the task does not mark."""
    needs = collection.task.needs
    unasked = {"rle"} if "masks" not in needs else set()
    unasked |= {"keypoints", "visibility"} if "keypoints" not in needs else set()
    return {name: None if name in unasked else value for name, value in mark.items()}


def _named_as_ours(found: LabelMap, theirs: Categories, ours: Categories) -> str:
    """Write a label map with the values of our names; what has no name here is background, or ignored."""
    names, other = ours.label_map_names, ours.background if ours.has_background else IGNORE
    values = [names.index(name) if name in names else other for name in theirs.label_map_names]
    return base64.b64encode(as_png(as_values(torch.tensor(values)[found.label_map]))).decode()


def _region(box: list[float], mask: Bool[Tensor, "h w"], label: str) -> dict[str, Any]:
    empty = dict.fromkeys(("polygons", "holes", "keypoints", "visibility", "score"))
    (rle,) = encode_rle(mask[None])
    return {"label": label, "box": box, "rle": dict(rle), **empty, "crowd": False, "ignore": False}
