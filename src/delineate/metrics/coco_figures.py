"""Pictures become COCO's annotations, and COCO's evaluation gives figures."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as coco_masks
from numpy.typing import NDArray
from torch import Tensor

from delineate.io.memory import uncollected
from delineate.metrics.kept import Picture, Store
from delineate.metrics.matching import xywh
from delineate.ops.masks import RLE
from delineate.values import Content, Detections, Target

Row = dict[str, Any]
Columns = Mapping[str, NDArray[Any]]
"""What COCO knows of objects is kept by field, each with a value for every object of all pictures."""

LIMITS = (1, 10, 100)
MOST = LIMITS[-1]
"""COCO takes so many detections of a class and picture."""
CUSTOM_SIGMA = 0.067
"""The mean of COCO's 17 sigmas serves for keypoints whose annotators' spread nobody has measured."""


AT_ONCE = 1000
"""The columns of so many pictures are made together."""


def coco_figures(
    content: Content, pictures: Sequence[Picture], names: Sequence[str], most: int = MOST, *, asked: bool = False
) -> dict[str, float]:
    """Measure boxes, masks or keypoints, named as in `CocoEvaluation.metrics`; nothing where no object counts.

    Of boxes and masks, `most` detections of a class and picture count where that is more than COCO's 100; where it was
    `asked` for, there is a recall by that number, too.
    """
    points = content == "keypoints"
    limits = LIMITS if points or most <= MOST else (*LIMITS, most)
    with uncollected():
        evaluated = dict(_by_class(content, pictures, limits)) if pictures else {}
    if not evaluated:
        return {}
    precision = np.concatenate([figures["precision"] for figures in evaluated.values()], axis=2)
    recall = np.concatenate([figures["recall"] for figures in evaluated.values()], axis=1)
    return _figures(points, precision, recall, [names[label] for label in evaluated], limits if asked else LIMITS)


def _by_class(
    content: Content, pictures: Sequence[Picture], limits: Sequence[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Evaluate each class that has objects by itself, as the rows of all at once would fill the memory."""
    num_points = _num_points(pictures) if content == "keypoints" else 0
    sigmas = None if num_points == 17 else [CUSTOM_SIGMA] * num_points
    objects, predicted, sizes, counts = _columns(content, pictures, num_points)

    def mask(row: Row) -> RLE:
        return RLE(size=list(sizes[row["image_id"]]), counts=counts[row["segmentation"]].decode())

    for label in np.unique(objects["category_id"]).tolist():
        both = [_rows(columns, label) for columns in (objects, predicted)]
        numbers = sorted({row["image_id"] for rows in both for row in rows})
        images = [{"id": number, "height": sizes[number][0], "width": sizes[number][1]} for number in numbers]
        truth, found = (COCO({"images": images, "categories": [{"id": label}], "annotations": rows}) for rows in both)
        kind = "keypoints" if content == "keypoints" else "bbox"
        evaluator = _Evaluator(truth, found, kind, kpt_oks_sigmas=sigmas, print_function=_say_nothing)
        evaluator.shape = mask if content == "masks" else itemgetter("bbox")
        evaluator.params.catIds = [label]
        if content != "keypoints":
            evaluator.params.maxDets = list(limits)
        evaluator.evaluate()
        evaluator.accumulate()
        yield label, evaluator.eval


def most_of_a_class(targets: Sequence[Target]) -> int:
    """Count the objects of one class that count in the picture where they are most."""
    counts = (target.labels[~target.ignored].bincount(minlength=1).max() for target in targets)
    return max(map(int, counts), default=0)


class _Evaluator(COCOeval_faster):  # type: ignore[misc]
    """COCO's evaluation, where an object may be ignored as a crowd is and be overlapped as others are.

    COCO ignores what has `iscrowd`, and nothing else: it overwrites an annotation's `ignore`. So a difficult object
    has `iscrowd`, and `is_region` says where the overlap is the share of the detection. Masks are measured as boxes
    are, by another `shape`: COCO would read those of all detections, and most are of a class that their picture lacks.
    """

    shape: Callable[[Row], Any]

    def computeIoU(self, imgId: Any, catId: Any) -> Any:  # noqa: N802, N803
        objects, predicted = self.gt_dataset.get(imgId, catId), self.dt_dataset.get(imgId, catId)
        if not (objects and predicted):
            return []
        order = np.argsort([-row["score"] for row in predicted], kind="stable")[: self.params.maxDets[-1]]
        regions = [int(row["is_region"]) for row in objects]
        return coco_masks.iou([self.shape(predicted[row]) for row in order], [*map(self.shape, objects)], regions)


def _rows(columns: Columns, label: int) -> list[Row]:
    """List a class's rows of all pictures, with an `id` from 1: COCO takes 0 for nothing."""
    chosen = np.flatnonzero(columns["category_id"] == label)
    names = ("id", *columns)
    values = zip(range(1, len(chosen) + 1), *(column[chosen].tolist() for column in columns.values()), strict=True)
    return [dict(zip(names, row, strict=True)) for row in values]


def _num_points(pictures: Iterable[Picture]) -> int:
    targets = (picture.target.keypoints for picture in pictures)
    return max((keypoints.shape[1] for keypoints in targets if keypoints is not None), default=0)


def _columns(
    content: Content, pictures: Sequence[Picture], num_points: int
) -> tuple[Columns, Columns, dict[int, tuple[int, int]], Store]:
    """Make the columns of objects and of detections; with them come sizes by the pictures' numbers, and RLEs' counts.

    Of masks, a column has the places of the counts, which may be on the disk.
    """
    counts, sizes = Store(), dict[int, tuple[int, int]]()
    parts: tuple[list[Columns], list[Columns]] = [], []
    for first in range(0, len(pictures), AT_ONCE):
        some = pictures[first : first + AT_ONCE]
        sizes |= {number: picture.target.image_size for number, picture in enumerate(some, start=first + 1)}
        for part, made in zip(
            parts,
            (_object_columns(content, some, num_points), _predicted_columns(content, some, num_points)),
            strict=True,
        ):
            made["image_id"] += first
            if content == "masks":
                made["segmentation"] = np.array([counts.append(text.encode()) for text in made["segmentation"]], int)
            part.append(made)
    objects, predicted = (
        {name: np.concatenate([columns[name] for columns in part]) for name in part[0]} for part in parts
    )
    return objects, predicted, sizes, counts


def _object_columns(content: Content, pictures: Sequence[Picture], num_points: int) -> dict[str, Any]:
    targets = [picture.target for picture in pictures]
    columns: dict[str, Any] = {
        **_common(targets),
        "bbox": xywh(_joined(targets, "boxes")),
        "area": np.concatenate([np.zeros(0), *map(_areas, pictures)]),
        "iscrowd": _joined(targets, "ignored").int().numpy(),
        "is_region": _joined(targets, "crowd").int().numpy(),
    }
    if content == "masks":
        columns["segmentation"] = [rle["counts"] for picture in pictures for rle in picture.rles or ()]
    if content == "keypoints":
        columns["keypoints"] = np.concatenate([_flat_points(target, num_points) for target in targets])
        columns["num_keypoints"] = (columns["keypoints"][:, 2::3] > 0).sum(1)
    return columns


def _areas(picture: Picture) -> NDArray[np.float64]:
    """Give the areas of a picture's objects: of masks, or those that stand in for them, or of boxes."""
    if picture.rles:
        return _mask_areas(picture.rles)
    if picture.target.areas is not None:
        return picture.target.areas.double().numpy()
    areas: NDArray[np.float64] = xywh(picture.target.boxes)[:, 2:].prod(1)
    return areas


def _mask_areas(rles: Sequence[RLE]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = coco_masks.area(rles).astype(float) if rles else np.zeros(0)
    return areas


def _predicted_columns(content: Content, pictures: Sequence[Picture], num_points: int) -> dict[str, Any]:
    """Give the area of what is measured, with keypoints of what they span, as COCO's reader of results does."""
    found = [picture.detections for picture in pictures]
    columns = {**_common(found), "score": _joined(found, "scores").numpy()}
    columns["iscrowd"] = np.zeros_like(columns["category_id"])
    if content == "masks":
        rles = [rle for detections in found for rle in detections.rles or ()]
        return {**columns, "segmentation": [rle["counts"] for rle in rles], "area": _mask_areas(rles)}
    if content == "keypoints":
        points = np.concatenate([_flat_points(detections, num_points) for detections in found])
        spans = (np.ptp(points[:, first::3], axis=1) if num_points else np.zeros(len(points)) for first in (0, 1))
        return {**columns, "keypoints": points, "area": np.prod([*spans], axis=0)}
    boxes = xywh(_joined(found, "boxes"))
    return {**columns, "bbox": boxes, "area": boxes[:, 2:].prod(1)}


def _common(values: Sequence[Target] | Sequence[Detections]) -> dict[str, NDArray[Any]]:
    """Number the pictures, from 1, beside the classes."""
    numbers = np.repeat(np.arange(1, len(values) + 1), [len(value) for value in values])
    return {"image_id": numbers, "category_id": _joined(values, "labels").numpy()}


def _joined(values: Sequence[Target] | Sequence[Detections], field: str) -> Tensor:
    return torch.cat([getattr(value, field) for value in values])


def _flat_points(objects: Target | Detections, num_points: int) -> NDArray[np.float64]:
    """List COCO's `x y visibility` of each keypoint, one that is absent and has no place at 0, as where none are."""
    if objects.keypoints is None or objects.visibility is None:
        return np.zeros((len(objects), 3 * num_points))
    points = objects.keypoints.double().nan_to_num(0, 0, 0)
    rows: NDArray[np.float64] = torch.cat([points, objects.visibility[..., None]], dim=2).flatten(1).numpy()
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
