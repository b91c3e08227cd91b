"""The objects of a data set are held against the anchors, default boxes or cells of a system that is to learn them."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.ops import box_iou

from delineate.data.preprocess import Preprocess
from delineate.doctor.checks.splits import is_learned
from delineate.doctor.checks.tally import Tally
from delineate.doctor.records import Hit, Size
from delineate.models.contract import AnyModel
from delineate.models.one_stage.retinanet import RetinaNet
from delineate.models.one_stage.ssd import SSD
from delineate.models.two_stage.detector import TwoStageDetector
from delineate.models.two_stage.proposers import RPN
from delineate.ops.boxes import scale_boxes
from delineate.system.catalog import build, find_entry
from delineate.training.settings import TrainingSettings
from delineate.values import Categories, InputError, counted

SSD_IOU, RETINA_IOU, RPN_IOU = 0.5, 0.4, 0.3
"""An object whose best anchor overlaps it less has negatives alone, but for that one."""

NONE = "has no anchors or default boxes; leave it out, or name ssd, retinanet or faster_rcnn"

Boxes = Callable[[Size], Float[Tensor, "n 4"]]


def unmatched(tallies: Sequence[Tally], name: str) -> Iterator[tuple[Hit, dict[str, Any]]]:
    """Find the objects to learn from that are below a pixel where the system sees them, or that no anchor matches.

    Raises `InputError` for a system that has no anchors.
    """
    if not find_entry(name).task.finds_many:
        raise InputError(f"for: {name} {NONE}")
    names = tuple(dict.fromkeys(name for tally in tallies for name in (*tally.part.names, *sorted(tally.classes))))
    model = build(name, Categories(class_names=names or ("object",))).eval()
    boxes, least = _boxes(model, name)
    preprocess = _preprocess(name, model.input_size)
    for tally in tallies:
        if is_learned(tally.part.split):
            yield from _of_split(tally, name, preprocess, boxes, least)


def _of_split(
    tally: Tally, name: str, preprocess: Preprocess, boxes: Boxes, least: float
) -> Iterator[tuple[Hit, dict[str, Any]]]:
    total = sum(len(found) for *_, found in tally.boxes)
    for record, size, found in tally.boxes:
        resized = preprocess.resized(size)
        objects = scale_boxes(torch.tensor(list(found.values())).view(-1, 4), size, resized)
        small = ((objects[:, 2:] - objects[:, :2]) < 1).any(1)
        lost = ~small & _without_anchor(objects, boxes(resized), least)
        places = list(found)
        things = [thing.in_pixels(size) for thing in tally.part.things(record)[0]] if (small | lost).any() else []
        at = f"at {resized[0]} x {resized[1]} pixels"
        for kind, rows in (("too-small", small), ("unmatched", lost)):
            for row in rows.nonzero().flatten().tolist():
                width, height = (objects[row, 2:] - objects[row, :2]).tolist()
                detail = f"{width:.1f} x {height:.1f} {at} of {name}; of {counted(total, 'object')}"
                yield Hit(kind, "", detail, (places[row],)), {"record": record, "things": things}


def _without_anchor(objects: Float[Tensor, "n 4"], anchors: Float[Tensor, "m 4"], least: float) -> Bool[Tensor, " n"]:
    """Tell which objects no anchor overlaps by `least`."""
    if not len(objects):
        return torch.zeros(0, dtype=torch.bool)
    found: Tensor = box_iou(objects, anchors).amax(1) < least
    return found


def _boxes(model: AnyModel, name: str) -> tuple[Boxes, float]:
    """Give what makes a model's anchors for pictures of a size, and the IoU below which they are negatives."""

    @cache
    @torch.inference_mode()
    def of_outputs(size: Size) -> Float[Tensor, "n 4"]:
        raw: Any = model(torch.zeros(1, 3, *size))
        found: Tensor = raw.boxes if isinstance(model, SSD) else torch.cat(raw.anchors)
        return found

    @cache
    @torch.inference_mode()
    def of_proposer(size: Size) -> Float[Tensor, "n 4"]:
        detector: Any = model
        found: Tensor = torch.cat(detector.proposer.anchors(detector.pyramid(torch.zeros(1, 3, *size))))
        return found

    if isinstance(model, SSD):
        return of_outputs, SSD_IOU
    if isinstance(model, RetinaNet):
        return of_outputs, RETINA_IOU
    if isinstance(model, TwoStageDetector) and isinstance(model.proposer, RPN):
        return of_proposer, RPN_IOU
    raise InputError(f"for: {name} {NONE}")


def _preprocess(name: str, input_size: Size | None) -> Preprocess:
    """Resize pictures as a training of the system does whose settings are those of the catalog."""
    fields, recipe = TrainingSettings.model_fields, find_entry(name).recipe
    short, long = (recipe.get(side, fields[side].default) for side in ("short_side", "long_side"))
    return Preprocess(short_side=short, long_side=long, size=input_size)
