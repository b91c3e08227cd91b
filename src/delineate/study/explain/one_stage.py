"""One-stage detectors are explained by the cells or default boxes that fired, and what NMS leaves of them."""

import torch
from torch import Tensor

from delineate.models.one_stage import SSD, YOLOv1, YOLOv2
from delineate.models.one_stage.ssd import SSDRaw
from delineate.models.one_stage.yolov1 import YOLOv1Raw
from delineate.models.one_stage.yolov2 import STRIDE, YOLOv2Raw, decode
from delineate.study.explain.stages import Seen, Stage, around_nms, boxes_score
from delineate.viz import draw_proposals

MANY = 100_000
"""No system has as many detections."""


def explain_one_stage(seen: Seen, model: SSD | YOLOv1 | YOLOv2, score: float) -> list[Stage]:
    """Show what fired, what there is before NMS, and what after it."""
    raw = model(*seen.inputs)
    before = seen.result(raw, nms_iou=1.0, max_detections=MANY).above(score)
    after = seen.result(raw).above(score)
    match model:
        case SSD():
            fired = _ssd(seen, model, raw, score)
        case YOLOv1():
            fired = [_yolov1(seen, model.num_cells, raw)]
        case YOLOv2():
            fired = _yolov2(seen, model.anchors, raw, score)
    several = ", often several for one object" if len(before) > 1 else ""
    line = f"{boxes_score(len(before), score)}{several}."
    return fired + around_nms(seen, before, after, title="Before NMS", line=line)


def _yolov1(seen: Seen, num_cells: int, raw: YOLOv1Raw) -> Stage:
    """Show how sure each cell is that an object's centre lies in it."""
    confidence = raw.confidences[0].clamp(0, 1).amax(1).view(num_cells, num_cells)
    return Stage(
        title="Cells that fired",
        line=f"Each of {num_cells} x {num_cells} cells says how sure it is that the centre of an object lies in it.",
        pictures=[("confidence", seen.heat(confidence, high=1.0))],
        scale="1",
    )


def _yolov2(seen: Seen, anchors: Tensor, raw: YOLOv2Raw, score: float) -> list[Stage]:
    """Show how sure each cell is of each anchor, and the anchors that are sure."""
    columns, rows = (raw.cells.amax(0) + 1).tolist()
    objectness = raw.objectness[0].sigmoid()
    sizes = [f"{width * STRIDE:.0f} x {height * STRIDE:.0f}" for width, height in anchors.tolist()]
    maps = objectness.view(rows, columns, -1).unbind(-1)
    fired = objectness >= score
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
            line=f"Those that are sure by {score:.2f} or more, {int(fired.sum()):,}, before they are moved.",
            pictures=[("anchors", draw_proposals(seen.image, seen.boxes(boxes)))],
        ),
    ]


def _ssd(seen: Seen, model: SSD, raw: SSDRaw, score: float) -> list[Stage]:
    """Show how likely each level has an object at its places, and the default boxes that do."""
    likely = raw.logits[0].float().softmax(-1)[:, :-1].amax(1)
    grids = [level.shape[-2:] for level in model.levels(seen.inputs.images)]
    shapes = [2 + 2 * len(ratios) for ratios in model.aspect_ratios]
    counts = [rows * columns * count for (rows, columns), count in zip(grids, shapes, strict=True)]
    maps = []
    for number, (grid, values) in enumerate(zip(grids, torch.split(likely, counts), strict=True)):
        caption = f"level {number + 1}: {grid[0]} x {grid[1]}, side {model.scales[number]:.2f}"
        maps.append((caption, seen.heat(values.view(*grid, -1).amax(2), high=1.0)))
    fired = likely >= score
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
            line=f"Those with a class of {score:.2f} or more, {int(fired.sum()):,}, before they are moved.",
            pictures=[("default boxes", draw_proposals(seen.image, seen.boxes(raw.boxes[fired])))],
        ),
    ]
