"""One-stage detectors are explained by the cells, boxes or places that fired, and what NMS leaves of them."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from delineate.models.contract import AnyModel
from delineate.models.one_stage import FCOS, SSD, RetinaNet, YOLOv1, YOLOv2
from delineate.models.one_stage.fcos import FCOSRaw
from delineate.models.one_stage.retinanet import RetinaNetRaw
from delineate.models.one_stage.ssd import SSDRaw
from delineate.models.one_stage.yolov1 import YOLOv1Raw
from delineate.models.one_stage.yolov2 import STRIDE, YOLOv2Raw, decode
from delineate.nn.blocks import num_cells, padded_to
from delineate.nn.pyramids import Pyramid
from delineate.study.explain.stages import Explain, Explained, Least, Seen, Stage, in_words, lowest, thinned_out
from delineate.viz import draw_proposals


def _yolov1(seen: Seen, model: YOLOv1, raw: YOLOv1Raw) -> list[Stage]:
    """Show how sure each cell is that an object's centre lies in it."""
    side = model.num_cells
    confidence = raw.confidences[0].clamp(0, 1).amax(1).view(side, side)
    return [
        Stage(
            title="Cells that fired",
            line=f"Each of {side} x {side} cells says how sure it is that the centre of an object lies in it.",
            pictures=[("confidence", seen.heat(confidence, high=1.0))],
            scale="1",
        )
    ]


def _yolov2(seen: Seen, model: YOLOv2, raw: YOLOv2Raw) -> list[Stage]:
    """Show how sure each cell is of each anchor, and the anchors that are sure."""
    columns, rows = (raw.cells.amax(0) + 1).tolist()
    objectness = raw.objectness[0].sigmoid()
    sizes = [f"{width * STRIDE:.0f} x {height * STRIDE:.0f}" for width, height in model.anchors.tolist()]
    maps = objectness.view(rows, columns, -1).unbind(-1)
    least = lowest(seen.least)
    fired = objectness >= least
    still = torch.zeros_like(raw.deltas)  # deltas that leave an anchor as it is, in the middle of its cell
    boxes = decode(raw._replace(deltas=still))[0][fired]
    return [
        Stage(
            title="Cells that fired",
            line=f"Each of {rows} x {columns} cells says for each of its {len(sizes)} anchors whether there is an "
            "object of about that shape (pixels of the resized picture).",
            pictures=[(f"anchor {size}", seen.heat(sure, high=1.0)) for size, sure in zip(sizes, maps, strict=True)],
            scale="1",
        ),
        Stage(
            title="Their anchors",
            line=f"Those that are sure by {least:.2f} or more, {int(fired.sum()):,}, before they are moved.",
            pictures=[("anchors", draw_proposals(seen.image, seen.boxes(boxes)))],
        ),
    ]


def _ssd(seen: Seen, model: SSD, raw: SSDRaw) -> list[Stage]:
    """Show how likely each level has an object at its places, and the default boxes that do."""
    of_classes = raw.logits[0].float().softmax(-1)[:, :-1]
    likely = of_classes.amax(1)
    grids = [level.shape[-2:] for level in model.levels(seen.inputs.images)]
    shapes = [2 + 2 * len(ratios) for ratios in model.aspect_ratios]
    counts = [rows * columns * count for (rows, columns), count in zip(grids, shapes, strict=True)]
    maps = []
    for number, (grid, values) in enumerate(zip(grids, torch.split(likely, counts), strict=True)):
        caption = f"level {number + 1}: {grid[0]} x {grid[1]}, side {model.scales[number]:.2f}"
        maps.append((caption, seen.heat(values.view(*grid, -1).amax(2), high=1.0)))
    fired = _likely(of_classes, seen.least)
    return [
        Stage(
            title="Levels",
            line="At every place of every level, how likely one of its default boxes holds an object: small objects "
            "are found on the fine levels, large ones on the coarse.",
            pictures=maps,
            scale="1",
        ),
        Stage(
            title="Default boxes that fired",
            line=f"Those with a class that scores {in_words(seen.least)} or more, {int(fired.sum()):,}, not yet moved.",
            pictures=[("default boxes", draw_proposals(seen.image, seen.boxes(raw.boxes[fired])))],
        ),
    ]


def _retinanet(seen: Seen, model: RetinaNet, raw: RetinaNetRaw) -> list[Stage]:
    """Show how likely each level has an object at its places, and the anchors that do."""
    of_classes = [logits[0].float().sigmoid() for logits in raw.logits]
    maps = [
        (
            f"level {number + 3}: anchors from {sizes[0]:.0f} px",
            seen.heat(_on_grid(seen, model.pyramid, values.amax(1), stride), high=1.0),
        )
        for number, (values, sizes, stride) in enumerate(
            zip(of_classes, model.sizes, model.pyramid.strides, strict=True)
        )
    ]
    together = torch.cat(of_classes)
    fired = _likely(together, seen.least)
    return [
        Stage(
            title="Levels",
            line="At every place of every level of the pyramid, how likely one of its anchors holds an object: the "
            "same heads look at small objects on the fine levels, and at large ones on the coarse.",
            pictures=maps,
            scale="1",
        ),
        Stage(
            title="Anchors that fired",
            line=f"Those with a class that scores {in_words(seen.least)} or more, {int(fired.sum()):,}, not yet moved.",
            pictures=[("anchors", draw_proposals(seen.image, seen.boxes(torch.cat(raw.anchors)[fired])))],
        ),
    ]


def _fcos(seen: Seen, model: FCOS, raw: FCOSRaw) -> list[Stage]:
    """Show how likely each place is in an object, and how near its middle it says that it is."""
    likely, middle = [], []
    for number, (logits, centreness, stride) in enumerate(
        zip(raw.logits, raw.centreness, model.pyramid.strides, strict=True)
    ):
        caption = f"level {number + 3}: stride {stride}"
        likely.append(
            (caption, seen.heat(_on_grid(seen, model.pyramid, logits[0].float().sigmoid().amax(1), stride), high=1.0))
        )
        middle.append(
            (caption, seen.heat(_on_grid(seen, model.pyramid, centreness[0].float().sigmoid(), stride), high=1.0))
        )
    return [
        Stage(
            title="Places that fired",
            line="There are no anchors: each place of every level says how likely it is in an object of the size that "
            "the level is for.",
            pictures=likely,
            scale="1",
        ),
        Stage(
            title="Centre-ness",
            line="How near the middle of its object each place says that it is; it lowers the scores of boxes that are "
            "seen from the edge, and means something only where an object is.",
            pictures=middle,
            scale="1",
        ),
    ]


def _on_grid(seen: Seen, pyramid: Pyramid, values: Tensor, stride: int) -> Tensor:
    """Lay out values of the boxes of the level of that stride, row by row, the highest of each place."""
    padded = padded_to(seen.inputs.images, pyramid.backbone.strides[-1])
    rows, columns = (num_cells(side, stride) for side in padded.shape[-2:])
    return values.view(rows, columns, -1).amax(2)


def _likely(of_classes: Float[Tensor, "n c"], least: Least) -> Bool[Tensor, " n"]:
    """Tell which boxes have a class that scores enough."""
    return (of_classes >= (least.to(of_classes) if isinstance(least, Tensor) else least)).any(1)


def _around(fired: Callable[[Seen, Any, Any], list[Stage]]) -> Explain:
    """Show what fired, what there is before NMS, and what after it."""

    def explain(seen: Seen, model: AnyModel) -> list[Stage]:
        raw = model(*seen.inputs)
        return [*fired(seen, model, raw), *thinned_out(seen, raw)]

    return explain


EXPLAINED: Explained = {
    SSD: _around(_ssd),
    YOLOv1: _around(_yolov1),
    YOLOv2: _around(_yolov2),
    RetinaNet: _around(_retinanet),
    FCOS: _around(_fcos),
}
