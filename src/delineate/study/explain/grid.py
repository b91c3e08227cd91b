"""Grid systems: which cells or default boxes fired, and what NMS leaves of them."""

import torch

from delineate.models.one_stage import SSD, YOLOv1, YOLOv2
from delineate.models.one_stage.ssd import SSDOutputs
from delineate.models.one_stage.yolov1 import YOLOv1Outputs
from delineate.models.one_stage.yolov2 import STRIDE, YOLOv2Outputs
from delineate.study.explain.stages import Seen, Stage, changed
from delineate.viz import draw_proposals

GridModel = SSD | YOLOv1 | YOLOv2


def explain_grid(seen: Seen, model: GridModel, score: float) -> list[Stage]:
    """What fired, before NMS, after it."""
    outputs = model(seen.batch)
    with changed(model, nms_threshold=1.0, max_detections=10**6):
        before = seen.result(outputs)
    after = seen.result(outputs)
    stages = _ssd(seen, model, outputs, score) if isinstance(model, SSD) else _cells(seen, model, outputs, score)
    return [
        *stages,
        Stage(
            title="Before NMS",
            line=f"{len(before.above(score))} boxes score {score:.2f} or more, several of them for one object.",
            pictures=[("before NMS", seen.drawn(before.above(score)))],
        ),
        Stage(
            title="After NMS",
            line=f"Of boxes that overlap by more than {model.nms_threshold:.2f}, the best of its class stays: "
            f"{len(after.above(score))} are left.",
            pictures=[("after NMS", seen.drawn(after.above(score)))],
        ),
    ]


def _cells(seen: Seen, model: YOLOv1 | YOLOv2, outputs: YOLOv1Outputs | YOLOv2Outputs, score: float) -> list[Stage]:
    """How sure each cell is that an object's centre lies in it."""
    if isinstance(model, YOLOv1):
        assert isinstance(outputs, YOLOv1Outputs)
        rows = columns = model.num_cells
        sure = outputs.confidences[0].clamp(0, 1).amax(1)
        kinds = [("confidence", sure.view(rows, columns))]
        line = f"Each of {rows} x {columns} cells says how sure it is that the centre of an object lies in it."
        return [Stage(title="Cells that fired", line=line, pictures=[(n, seen.heat(v, high=1.0)) for n, v in kinds])]
    assert isinstance(outputs, YOLOv2Outputs)
    rows, columns = model.grid(seen.input_size)
    objectness = outputs.objectness[0].sigmoid().view(rows, columns, -1)
    sizes = [f"{width * STRIDE:.0f} x {height * STRIDE:.0f}" for width, height in model.anchors.tolist()]
    maps = [(f"anchor {size}", seen.heat(objectness[..., n], high=1.0)) for n, size in enumerate(sizes)]
    fired = outputs.objectness[0].sigmoid() >= score
    still = torch.zeros_like(outputs.deltas)  # deltas that leave an anchor as it is, in the middle of its cell
    anchors = model.decode(still, seen.input_size)[0]
    return [
        Stage(
            title="Cells that fired",
            line=f"Each of {rows} x {columns} cells says for each of its {len(sizes)} anchors whether there is an "
            "object of about that shape (pixels of the resized picture).",
            pictures=maps,
        ),
        Stage(
            title="Their anchors",
            line=f"The {int(fired.sum())} anchors that are sure by {score:.2f} or more, before they are moved.",
            pictures=[("anchors", draw_proposals(seen.image, seen.boxes(anchors[fired])))],
        ),
    ]


def _ssd(seen: Seen, model: SSD, outputs: SSDOutputs, score: float) -> list[Stage]:
    """How likely each level finds an object at its places, and the default boxes that do."""
    likely = outputs.logits[0].float().softmax(-1)[:, :-1].amax(1)
    levels = model.levels(seen.batch)
    maps, first = [], 0
    for number, level in enumerate(levels):
        rows, columns = level.shape[-2:]
        shapes = 2 + 2 * len(model.aspect_ratios[number])
        its = likely[first : first + rows * columns * shapes].view(rows, columns, shapes).amax(2)
        first += rows * columns * shapes
        maps.append(
            (f"level {number + 1}: {rows} x {columns}, side {model.scales[number]:.2f}", seen.heat(its, high=1.0))
        )
    fired = likely >= score
    return [
        Stage(
            title="Levels",
            line="At every place of every level, how likely one of its default boxes holds an object: small objects "
            "are found on the fine levels, large ones on the coarse.",
            pictures=maps,
        ),
        Stage(
            title="Default boxes that fired",
            line=f"The {int(fired.sum())} default boxes with a class of {score:.2f} or more, before they are moved.",
            pictures=[("default boxes", draw_proposals(seen.image, seen.boxes(outputs.boxes[fired])))],
        ),
    ]
