"""A click or a rough box becomes an object: by a model's heads for that very box, or by selective search.

Heads of objects (He et al. 2017, Mask R-CNN) look at any box, whoever proposed it; so an annotator may.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any, NamedTuple

import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from delineate.models.contract import Inputs, Rows
from delineate.models.two_stage import TwoStageDetector
from delineate.models.two_stage.detector import TwoStageRaw
from delineate.models.two_stage.rois import numbered
from delineate.ops.boxes import paired_iou, scale_boxes
from delineate.ops.masks import sampled_rle
from delineate.ops.search.regions import Searched, region_mask, rows_at, search_regions
from delineate.system.system import System, evaluating, trimmed, widened
from delineate.values import Detections, InputError

KEPT = 2
"""So many pictures, with what a network sees of them, stay in memory: those that are being edited."""
SQUARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Around a click where nothing was found, boxes of these shares of the picture's shorter side are looked at."""
LEAST = 5e-4
"""A region of a smaller share of the picture is none that somebody clicks on."""
NUM_REGIONS = 5
MOST_ALIKE = 8
"""So many trees may have a region of the same box."""

Point = tuple[float, float]
Box = tuple[float, float, float, float]


class Seen(NamedTuple):
    """A network saw a picture of a size: its feature maps serve any box."""

    inputs: Inputs
    size: tuple[int, int]
    raw: TwoStageRaw
    found: Detections


class Prompts:
    """Prompts keeps what was seen of the last pictures."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[System, object], Seen] = OrderedDict()
        self._searched: OrderedDict[object, Searched] = OrderedDict()
        self._lock = Lock()

    def by_model(
        self,
        system: System,
        key: object,
        image: UInt8[Tensor, "3 h w"],
        box: Box | None,
        point: Point | None,
        label: int | None,
    ) -> Detections:
        """Find the one object of a box, or at a point, in a picture that `key` stands for; see `object_at`."""
        with self._lock:
            mine = (system, key)  # not its number, which another one may have when it is gone
            seen = self._seen.pop(mine, None) or see(system, image)
            self._seen[mine] = seen
            while len(self._seen) > KEPT:
                self._seen.popitem(last=False)
            return object_at(system, seen, box, point, label)

    def by_search(
        self, key: object, image: UInt8[Tensor, "3 h w"], box: Box | None, point: Point | None
    ) -> tuple[Float[Tensor, "n 4"], Bool[Tensor, "h w"]]:
        """Give the boxes of the regions of selective search that fit best, the best first, and the best one's mask."""
        with self._lock:
            searched = self._searched.pop(key, None) or search_regions(image)
            self._searched[key] = searched
            while len(self._searched) > KEPT:
                self._searched.popitem(last=False)
        rows = regions_at(searched, box, point)
        return searched.boxes[rows], region_mask(searched, int(rows[0]))


def can_prompt(system: System) -> bool:
    """Tell whether a system has heads that look at any box for its mask or its keypoints."""
    return isinstance(system.model, TwoStageDetector) and system.model.object_features is not None


@torch.inference_mode()
def see(system: System, image: UInt8[Tensor, "3 h w"]) -> Seen:
    """Let the network see a picture, and find what is in it."""
    (prepared,) = system.prepare([image])
    inputs, original = prepared.inputs, prepared.sizes[0]
    size = (inputs.images.shape[-2], inputs.images.shape[-1])
    with evaluating(system.model), _precision(system):
        raw = system.model(*inputs)
    rows = trimmed(system.reader.find(widened(raw), size))
    return Seen(inputs, original, raw, _objects(system, raw, rows, size, original))


@torch.inference_mode()
def object_at(system: System, seen: Seen, box: Box | None, point: Point | None, label: int | None) -> Detections:
    """Find one object: in that very box, or the likeliest that was found at a point, or in a box around the point.

    Its class is the `label`, or the likeliest. Raises `InputError` for a box or a point that is not in the picture.
    """
    size = (seen.inputs.images.shape[-2], seen.inputs.images.shape[-1])
    if box is not None:
        return _in_box(system, seen, _inside(box, seen.size), size, label)
    assert point is not None
    row = _holding(seen.found, point, seen.size)
    if row is not None and label in (None, int(seen.found.labels[row])):
        return seen.found[torch.tensor([row])]
    around = seen.found.boxes[row].tolist() if row is not None else _around(system, seen, point, size)
    return _in_box(system, seen, _inside(around, seen.size), size, label)


def regions_at(searched: Searched, box: Box | None, point: Point | None) -> Int64[Tensor, " m"]:
    """Choose the rows of regions of different boxes: of those that overlap a box most, or the smallest at a point.

    There is one at least, as all of the picture is a region, too.
    """
    boxes, size = searched.boxes, searched.size
    if box is not None:
        given = torch.tensor(_inside(box, size)).expand_as(boxes)
        rows = paired_iou(boxes, given).argsort(descending=True, stable=True)
    else:
        assert point is not None
        rows = rows_at(searched, *_at(point, size))
        areas = (boxes[rows, 2:] - boxes[rows, :2]).prod(1)
        rows = rows[areas >= LEAST * size[0] * size[1]]
        rows = rows[(boxes[rows, 2:] - boxes[rows, :2]).prod(1).argsort(stable=True)]
    different: dict[tuple[float, ...], int] = {}
    for row in rows[: MOST_ALIKE * NUM_REGIONS].tolist():
        different.setdefault(tuple(boxes[row].tolist()), row)
    return torch.tensor(list(different.values())[:NUM_REGIONS])


def around_mask(found: Detections) -> Detections:
    """Let the box of a single object be that of its mask; a mask without a pixel is none."""
    if found.rles is None:
        return found
    x, y, width, height = coco_masks.toBbox(list(found.rles))[0].tolist()
    if not width * height:
        return replace(found, rles=None)
    return replace(found, boxes=torch.tensor([[x, y, x + width, y + height]]))


def _in_box(system: System, seen: Seen, box: Sequence[float], size: tuple[int, int], label: int | None) -> Detections:
    boxes = scale_boxes(torch.tensor([list(box)]), seen.size, size).to(seen.inputs.images)
    scores = _scored(system, seen, boxes).scores[0]
    labels = scores.argmax(1) if label is None else torch.full((len(boxes),), label, device=scores.device)
    rows = Rows(boxes[None], scores.gather(1, labels[:, None])[:, 0][None].clamp(min=0), labels[None])
    found = _objects(system, seen.raw, rows, size, seen.size)
    return replace(found, boxes=torch.tensor([list(box)]))


def _scored(system: System, seen: Seen, boxes: Float[Tensor, "n 4"]) -> TwoStageRaw:
    """Let the box head score and move boxes of the network's input."""
    model: Any = system.model
    with evaluating(model), _precision(system):
        features = model.roi_features(seen.inputs.images, seen.raw.levels, numbered(boxes[None]))
        logits, deltas = model.box_head(features)
        return seen.raw._replace(
            proposals=boxes[None], scores=model.box_head.probabilities(logits)[None], deltas=deltas[None]
        )


def _around(system: System, seen: Seen, point: Point, size: tuple[int, int]) -> Sequence[float]:
    """Let the box head move squares around a point, and take the best that holds it, or else a square."""
    x, y = _at(point, seen.size)
    halves = torch.tensor(SQUARES) * min(seen.size) / 2
    corners = torch.stack([x - halves, y - halves, x + halves, y + halves], 1)
    height, width = seen.size
    squares = corners.clamp(min=0).minimum(torch.tensor([width, height, width, height]))
    scored = _scored(system, seen, scale_boxes(squares, seen.size, size).to(seen.inputs.images))
    rows = trimmed(system.reader.find(widened(scored), size))
    assert isinstance(rows, Rows)
    moved = scale_boxes(rows.boxes[0, : int((rows.scores[0] >= 0).sum())].cpu(), size, seen.size)
    holds = (moved[:, 0] <= x) & (x < moved[:, 2]) & (moved[:, 1] <= y) & (y < moved[:, 3])
    chosen: list[float] = (moved[holds][0] if holds.any() else squares[1]).tolist()
    return chosen


def _objects(
    system: System, raw: TwoStageRaw, rows: Any, size: tuple[int, int], original: tuple[int, int]
) -> Detections:
    """Let further heads look at rows, and make objects of the original picture of them."""
    with evaluating(system.model), _precision(system):
        extended = system.model.extend(raw, rows)
    (found,) = system.reader.results(widened(extended), size, [original])
    assert isinstance(found, Detections)
    return found


def _holding(found: Detections, point: Point, size: tuple[int, int]) -> int | None:
    """Find the likeliest object whose mask, or else whose box, holds a point."""
    x, y = _at(point, size)
    row, column = torch.tensor([int(y)]), torch.tensor([int(x)])
    inside = [k for k, (x1, y1, x2, y2) in enumerate(found.boxes.tolist()) if x1 <= x < x2 and y1 <= y < y2]
    if found.rles is not None:
        covering = [k for k in inside if bool(sampled_rle(found.rles[k], row, column).any())]
        inside = covering or inside
    return inside[0] if inside else None


def _at(point: Point, size: tuple[int, int]) -> Point:
    x, y = point
    if not (0 <= x <= size[1] and 0 <= y <= size[0]):
        raise InputError(f"point: {list(point)} is not in the picture of {size[1]} x {size[0]}")
    return min(x, size[1] - 0.5), min(y, size[0] - 0.5)


def _inside(box: Sequence[float], size: tuple[int, int]) -> list[float]:
    x1, y1, x2, y2 = box
    cut = [max(x1, 0.0), max(y1, 0.0), min(x2, float(size[1])), min(y2, float(size[0]))]
    if cut[2] - cut[0] < 1 or cut[3] - cut[1] < 1:
        raise InputError(f"box: {list(box)} is less than a pixel of the picture of {size[1]} x {size[0]}")
    return cut


def _precision(system: System) -> torch.autocast:
    return torch.autocast(system.device.type, torch.bfloat16, enabled=system.in_bf16)
