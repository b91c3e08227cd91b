"""Two-stage detectors are explained by proposals, what the head sees of them, scores around NMS, masks and heatmaps."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from delineate.models.two_stage import TwoStageDetector
from delineate.models.two_stage.rois import RoIWarp, numbered
from delineate.study.explain.stages import (
    LARGEST_OF_EACH,
    Explained,
    Seen,
    Stage,
    around_nms,
    boxes_score,
    shape,
    strength,
)
from delineate.viz import draw_proposals

NUM_CROPS, NUM_POSES = 24, 4


def explain_two_stage(seen: Seen, model: TwoStageDetector) -> list[Stage]:
    """Show the stages of the pipeline, as many as it has."""
    raw = model(*seen.inputs)
    boxes = raw.proposals[0][raw.proposals[0, :, 2] > raw.proposals[0, :, 0]]
    before = seen.result(raw, nms_iou=1.0).above(seen.least)
    rows = seen.rows(raw)
    likely = seen.read(rows).above(seen.least)
    name = type(model.search or model.proposer).__name__
    stages = [
        Stage(
            title="Where to look",
            line=f"{name} proposes {len(boxes):,} boxes that may hold an object of whatever class; "
            "the likeliest hundred are drawn, the likelier the brighter.",
            pictures=[("proposals", draw_proposals(seen.image, seen.boxes(boxes)))],
        ),
        _looked_at(seen, model, raw.levels, boxes),
        *around_nms(
            seen,
            before,
            likely,
            title="What the boxes hold, before NMS",
            line="The head scores every proposal for every class and corrects its box. Of the best hundred: "
            f"{boxes_score(len(before), seen.least).lower()}{', often several for one object' * (len(before) > 1)}.",
        ),
    ]
    if likely.rles is not None:
        line = "In each box that is left, the mask head says for every place whether it belongs to the object."
        stages.append(Stage(title="Masks", line=line, pictures=[("masks", seen.drawn(likely))]))
    if rows.heatmaps is not None:
        stages.append(_poses(seen, rows.heatmaps[0], rows.boxes[0], len(likely)))
        stages.append(
            Stage(
                title="Poses",
                line="Each keypoint is where its heatmap is highest.",
                pictures=[("poses", seen.drawn(likely))],
            )
        )
    return stages


def _looked_at(seen: Seen, model: TwoStageDetector, levels: Sequence[Tensor], boxes: Tensor) -> Stage:
    """Show warped pixels, or the feature maps that RoIs are pooled from."""
    if isinstance(model.roi_features, RoIWarp):
        crops = model.roi_features(seen.inputs.images, levels, numbered(boxes[None, :NUM_CROPS]))
        pixels = seen.system.preprocess.denormalise(crops).cpu()
        return Stage(
            title="Crops",
            line=f"The pixels of each box are warped to {crops.shape[-1]} x {crops.shape[-1]}, and a network looks at "
            f"every one of them by itself; these are the likeliest {len(crops)}.",
            pictures=[("", crop) for crop in pixels],
        )
    assert model.pyramid is not None
    kind, size, used = type(model.roi_features).__name__, model.roi_features.size, model.roi_features.strides
    maps = []
    for level, stride in zip(levels, model.pyramid.strides, strict=True):
        alone = "" if stride in used else ", for the RPN alone"
        maps.append((f"stride {stride}, {shape(level)}{alone}", seen.heat(strength(level), stride=stride)))
    return Stage(
        title="Features, once a picture",
        line=f"{kind} takes each box's part of these maps, {size} x {size} of it; light is where a map answers "
        "strongly. Shapes are channels x rows x columns.",
        pictures=maps,
        scale=LARGEST_OF_EACH,
    )


def _poses(seen: Seen, heatmaps: Tensor, boxes: Tensor, count: int) -> Stage:
    """Show the likeliest bodies' heatmaps, all keypoints together, in their boxes."""
    pictures = []
    for row in range(min(count, NUM_POSES)):
        x1, y1, x2, y2 = (round(value) for value in seen.boxes(boxes[row : row + 1])[0].tolist())
        probability = heatmaps[row].flatten(1).softmax(1).view_as(heatmaps[row])
        together = (probability / probability.amax((1, 2), keepdim=True)).amax(0)
        canvas = torch.zeros(seen.size)
        size = (max(1, y2 - y1), max(1, x2 - x1))
        placed = F.interpolate(together[None, None].cpu(), size=size, mode="bilinear")[0, 0]
        canvas[y1 : y1 + size[0], x1 : x1 + size[1]] = placed[: seen.size[0] - y1, : seen.size[1] - x1]
        pictures.append((f"detection {row + 1}", seen.heat(canvas, high=1.0)))
    return Stage(
        title="Heatmaps",
        line="For each keypoint of each box the keypoint head says how likely it is at every place; all in one.",
        pictures=pictures,
        scale="the highest place of each heatmap",
    )


EXPLAINED: Explained = {TwoStageDetector: explain_two_stage}
