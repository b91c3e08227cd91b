"""The objects of a data set are held against the anchors, cells or queries of a system that is to learn them.

An object is lost on a system whose loss would give it nothing of its own to learn by: no anchor that overlaps it well,
a cell that another object has already, no place of its size within it, no query that is left.
"""

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
from delineate.models.one_stage.fcos import FCOS, assign
from delineate.models.one_stage.responsible import centre_cells, first_of_each
from delineate.models.one_stage.retinanet import RetinaNet
from delineate.models.one_stage.ssd import SSD
from delineate.models.one_stage.yolov1 import YOLOv1
from delineate.models.one_stage.yolov2 import STRIDE, YOLOv2
from delineate.models.queries import DETR, RTDETR
from delineate.models.two_stage.detector import TwoStageDetector
from delineate.models.two_stage.proposers import RPN
from delineate.ops.anchors import cluster_shapes, shape_iou
from delineate.ops.boxes import scale_boxes
from delineate.system.catalog import build, find_entry
from delineate.training.settings import TrainingSettings
from delineate.values import Categories, InputError, Truth, counted

SSD_IOU, RETINA_IOU, RPN_IOU = 0.5, 0.4, 0.3
"""An object whose best anchor overlaps it less has negatives alone, but for that one."""

Objects = Float[Tensor, "n 4"]
Lost = Callable[[Objects, Size], Bool[Tensor, " n"]]
"""It tells which objects of a picture, in pixels of the size that the system sees, are lost on it."""


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
    pictures = [
        (preprocess.resized(size), _resized(found, size, preprocess)) for t in learned for _, size, found in t.boxes
    ]
    lost, why = _lost(model, name, [objects for _, objects in pictures])
    for tally in learned:
        yield from _of_split(tally, name, preprocess, lost, why)


def _of_split(
    tally: Tally, name: str, preprocess: Preprocess, lost: Lost, why: str
) -> Iterator[tuple[Hit, dict[str, Any]]]:
    total = sum(len(found) for *_, found in tally.boxes)
    for record, size, found in tally.boxes:
        resized, objects = preprocess.resized(size), _resized(found, size, preprocess)
        small = ((objects[:, 2:] - objects[:, :2]) < 1).any(1)
        without = ~small & lost(objects, resized) if len(objects) else small
        places = list(found)
        things = [thing.in_pixels(size) for thing in tally.part.things(record)[0]] if (small | without).any() else []
        at = f"at {resized[0]} x {resized[1]} pixels"
        for kind, rows, said in (("too-small", small, ""), ("unmatched", without, f": {why}")):
            for row in rows.nonzero().flatten().tolist():
                width, height = (objects[row, 2:] - objects[row, :2]).tolist()
                detail = f"{width:.1f} x {height:.1f} {at} of {name}{said}; of {counted(total, 'object')}"
                yield Hit(kind, "", detail, (places[row],)), {"record": record, "things": things}


def _resized(found: Any, size: Size, preprocess: Preprocess) -> Objects:
    return scale_boxes(torch.tensor(list(found.values())).view(-1, 4), size, preprocess.resized(size))


def _lost(model: AnyModel, name: str, pictures: Sequence[Objects]) -> tuple[Lost, str]:
    """Give what tells which objects are lost on a model, and why they are, in words."""
    if isinstance(model, SSD):
        return _far_from(model, lambda raw: raw.boxes, SSD_IOU), "no default box overlaps it by half"
    if isinstance(model, RetinaNet):
        return _far_from(model, lambda raw: torch.cat(raw.anchors), RETINA_IOU), "no anchor overlaps it by 0.4"
    if isinstance(model, TwoStageDetector) and isinstance(model.proposer, RPN):
        return _far_from_proposer(model), "no anchor overlaps it by 0.3"
    if isinstance(model, YOLOv1):
        grid = (model.num_cells, model.num_cells)
        return lambda objects, size: ~first_of_each(centre_cells(objects, grid, size)[0]), "another has its cell"
    if isinstance(model, YOLOv2):
        return _of_shapes(model, pictures), "another has its anchor of its cell"
    if isinstance(model, FCOS):
        return _without_place(model), "no place within it is of its size and its own"
    if isinstance(model, DETR | RTDETR):
        most = model.selection.num_queries if isinstance(model, RTDETR) else len(model.queries.boxes)
        return lambda objects, _: torch.arange(len(objects)) >= most, f"it has {most} queries for all in a picture"
    raise InputError(f"for: {name} learns from proposals wherever they are; `delineate propose` measures those")


def _far_from(model: AnyModel, anchors: Callable[[Any], Tensor], least: float) -> Lost:
    @cache
    @torch.inference_mode()
    def of_size(size: Size) -> Objects:
        return anchors(model(torch.zeros(1, 3, *size)))

    return lambda objects, size: _below(objects, of_size(size), least)


def _far_from_proposer(detector: Any) -> Lost:
    @cache
    @torch.inference_mode()
    def of_size(size: Size) -> Objects:
        return torch.cat(detector.proposer.anchors(detector.pyramid(torch.zeros(1, 3, *size))))

    return lambda objects, size: _below(objects, of_size(size), RPN_IOU)


def _below(objects: Objects, anchors: Objects, least: float) -> Bool[Tensor, " n"]:
    below: Tensor = box_iou(objects, anchors).amax(1) < least
    return below


def _of_shapes(model: YOLOv2, pictures: Sequence[Objects]) -> Lost:
    """Cluster the anchors among all objects, as a training does; with too few of them they stay as they are."""
    sides = torch.cat([torch.zeros(0, 4), *pictures])
    sides = (sides[:, 2:] - sides[:, :2]).clamp(min=1)
    count = len(model.anchors)
    enough = len(torch.unique(sides, dim=0)) >= count
    anchors = cluster_shapes(sides, count) if enough else model.anchors * STRIDE

    def lost(objects: Objects, size: Size) -> Bool[Tensor, " n"]:
        cells, _ = centre_cells(objects, (size[0] // STRIDE, size[1] // STRIDE), size)
        return ~first_of_each(cells * count + shape_iou(objects[:, 2:] - objects[:, :2], anchors).argmax(1))

    return lost


def _without_place(model: FCOS) -> Lost:
    @cache
    @torch.inference_mode()
    def of_size(size: Size) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        places = model(torch.zeros(1, 3, *size)).places
        strides, lows, highs = model.ranges(places)
        return torch.cat(places), strides, lows, highs

    def lost(objects: Objects, size: Size) -> Bool[Tensor, " n"]:
        labels = torch.zeros(len(objects), dtype=torch.int64)
        truth = Truth(image_size=size, boxes=objects, labels=labels, ignored=objects[:0])
        rows, _ = assign(*of_size(size), truth)
        return ~torch.isin(torch.arange(len(objects)), rows)

    return lost


def _preprocess(name: str, input_size: Size | None) -> Preprocess:
    """Resize pictures as a training of the system does whose settings are those of the catalog."""
    fields, recipe = TrainingSettings.model_fields, find_entry(name).recipe
    short, long = (recipe.get(side, fields[side].default) for side in ("short_side", "long_side"))
    return Preprocess(short_side=short, long_side=long, size=input_size)
