"""Pictures become COCO's annotations, and COCO's evaluation gives figures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as coco_masks

from delineate.metrics.matching import xywh
from delineate.ops.masks import RLE
from delineate.values import Content, Detections, Target

Row = dict[str, Any]

LIMITS = (1, 10, 100)
MOST = LIMITS[-1]
"""COCO takes so many detections of a class and picture."""
CUSTOM_SIGMA = 0.067
"""The mean of COCO's 17 sigmas serves for keypoints whose annotators' spread nobody has measured."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """One picture's detections and its target, whose masks are kept as RLE beside it."""

    number: int
    detections: Detections
    target: Target
    rles: list[RLE] | None


def coco_figures(
    content: Content, pictures: Sequence[Picture], names: Sequence[str], most: int = MOST, *, asked: bool = False
) -> dict[str, float]:
    """Measure boxes, masks or keypoints, named as in `CocoEvaluation.metrics`; nothing where no object counts.

    Of boxes and masks, `most` detections of a class and picture count where that is more than COCO's 100; where it was
    `asked` for, there is a recall by that number, too.
    """
    images = [
        {"id": number, "height": picture.target.image_size[0], "width": picture.target.image_size[1]}
        for number, picture in enumerate(pictures, start=1)
    ]
    categories = [{"id": label, "name": name} for label, name in enumerate(names)]
    truth, predicted = (
        COCO({"images": images, "categories": categories, "annotations": _numbered(rows)})
        for rows in (map(_object_rows, pictures), (_predicted_rows(content, picture) for picture in pictures))
    )
    num_points = max((p.target.keypoints.shape[1] for p in pictures if p.target.keypoints is not None), default=0)
    sigmas = None if num_points == 17 else [CUSTOM_SIGMA] * num_points
    kind = {"boxes": "bbox", "masks": "segm"}.get(content, content)
    evaluator = _Evaluator(truth, predicted, kind, kpt_oks_sigmas=sigmas, print_function=_say_nothing)
    evaluator.params.catIds = list(range(len(names)))
    if content != "keypoints" and most > MOST:
        evaluator.params.maxDets = [*LIMITS, most]
    evaluator.evaluate()
    evaluator.accumulate()
    limits = evaluator.params.maxDets if asked else LIMITS
    return _figures(content == "keypoints", evaluator.eval["precision"], evaluator.eval["recall"], names, limits)


def most_of_a_class(targets: Sequence[Target]) -> int:
    """Count the objects of one class that count in the picture where they are most."""
    counts = (target.labels[~target.ignored].bincount(minlength=1).max() for target in targets)
    return max(map(int, counts), default=0)


class _Evaluator(COCOeval_faster):  # type: ignore[misc]
    """COCO's evaluation, where an object may be ignored as a crowd is and be overlapped as others are.

    COCO ignores what has `iscrowd`, and nothing else: it overwrites an annotation's `ignore`. So a difficult object
    has `iscrowd`, and `is_region` says where the overlap is the share of the detection.
    """

    def computeIoU(self, imgId: Any, catId: Any) -> Any:  # noqa: N802, N803
        objects, predicted = self.gt_dataset.get(imgId, catId), self.dt_dataset.get(imgId, catId)
        if not (objects and predicted):
            return []
        order = np.argsort([-row["score"] for row in predicted], kind="stable")[: self.params.maxDets[-1]]
        key = "rle" if self.params.compute_rle else "bbox"
        regions = [int(row["is_region"]) for row in objects]
        return coco_masks.iou([predicted[row][key] for row in order], [row[key] for row in objects], regions)


def _numbered(pictures: Iterable[Iterator[Row]]) -> list[Row]:
    """Number the rows of all pictures by `id` and `image_id`, both from 1: COCO takes 0 for nothing."""
    rows = [{"image_id": number, **row} for number, picture in enumerate(pictures, start=1) for row in picture]
    return [{"id": number, **row} for number, row in enumerate(rows, start=1)]


def _object_rows(picture: Picture) -> Iterator[Row]:
    target = picture.target
    boxes, ignored, regions = xywh(target.boxes), target.ignored.tolist(), target.crowd.tolist()
    areas = boxes[:, 2] * boxes[:, 3] if target.areas is None else target.areas.numpy()
    areas = coco_masks.area(picture.rles) if picture.rles else areas
    points = _flat_points(target)
    for row, (box, area, label) in enumerate(zip(boxes.tolist(), areas.tolist(), target.labels.tolist(), strict=True)):
        yield {
            "category_id": label,
            "bbox": box,
            "area": area,
            "iscrowd": int(ignored[row]),
            "is_region": regions[row],
            "keypoints": points[row],
            "num_keypoints": sum(visible > 0 for visible in points[row][2::3]),
            **({"segmentation": picture.rles[row]} if picture.rles else {}),
        }


def _predicted_rows(content: Content, picture: Picture) -> Iterator[Row]:
    """Give the area of what is measured, with keypoints of what they span, as COCO's reader of results does."""
    detections = picture.detections
    key, values, areas = _predicted_values(content, detections)
    rows = zip(detections.labels.tolist(), detections.scores.tolist(), values, areas, strict=True)
    for label, score, value, area in rows:
        yield {"category_id": label, "score": score, "area": area, "iscrowd": 0, key: value}


def _predicted_values(content: Content, detections: Detections) -> tuple[str, Sequence[Any], list[float]]:
    if content == "masks":
        rles = list(detections.rles or [])
        return "segmentation", rles, coco_masks.area(rles).astype(float).tolist() if rles else []
    if content == "keypoints":
        points = _flat_points(detections)
        return "keypoints", points, [_span(row[0::3]) * _span(row[1::3]) for row in points]
    boxes = xywh(detections.boxes)
    return "bbox", boxes.tolist(), (boxes[:, 2] * boxes[:, 3]).tolist()


def _span(values: list[float]) -> float:
    return max(values) - min(values) if values else 0.0


def _flat_points(objects: Target | Detections) -> list[list[float]]:
    """List COCO's `x y visibility` of each keypoint; one that is absent and has no place lies at 0."""
    if objects.keypoints is None or objects.visibility is None:
        return [[] for _ in range(len(objects))]
    points = objects.keypoints.double().nan_to_num(0, 0, 0)
    rows: list[list[float]] = torch.cat([points, objects.visibility[..., None]], dim=2).flatten(1).tolist()
    return rows


def _figures(
    points: bool, precision: Any, recall: Any, names: Sequence[str], limits: Sequence[int]
) -> dict[str, float]:
    """Average over the classes, sizes and thresholds that objects count for.

    `precision` is (IoU, recall, class, area, detections) and `recall` (IoU, class, area, detections); -1 where no
    object counts.
    """
    figures = {"AP": precision[..., 0, -1], "AP50": precision[0, ..., 0, -1], "AP75": precision[5, ..., 0, -1]}
    if points:
        figures |= {"AR": recall[..., 0, -1], "AR50": recall[0, ..., 0, -1], "AR75": recall[5, ..., 0, -1]}
    else:
        figures |= {f"AR{most}": recall[..., 0, index] for index, most in enumerate(limits)}
    for area, size in enumerate(("medium", "large") if points else ("small", "medium", "large"), start=1):
        figures |= {f"AP_{size}": precision[..., area, -1], f"AR_{size}": recall[..., area, -1]}
    figures |= {f"AP/{name}": precision[:, :, label, 0, -1] for label, name in enumerate(names)}
    return {name: float(values[values > -1].mean()) for name, values in figures.items() if (values > -1).any()}


def _say_nothing(*_: object) -> None:
    pass
