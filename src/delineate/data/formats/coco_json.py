"""The inside of a COCO JSON file is checked, its annotations sorted by picture, its numbers made tensors."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from delineate.ops.masks import RLE, decode_rle
from delineate.values import IGNORE, Categories, Content, InputError
from delineate.values.categories import BACKGROUND

Row = dict[str, Any]
"""One entry of the JSON: a picture, a category or an annotation."""

Document = dict[str, list[Row]]

UNREADABLE = (ValueError, TypeError, KeyError, RuntimeError)
"""A malformed segmentation raises one of these when it is decoded."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Objects:
    """The annotations of a file; those of picture `i` are the rows `starts[i]` up to `starts[i + 1]`."""

    categories: Categories
    contents: frozenset[Content]
    problems: Sequence[str]
    starts: Sequence[int]
    ids: Sequence[int]
    segmentations: Sequence[Any]
    boxes: Float[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    crowd: Bool[Tensor, " n"]
    difficult: Bool[Tensor, " n"]
    areas: Float[Tensor, " n"]
    keypoints: Float[Tensor, "n k 3"] | None

    def masks(self, rows: range, image_size: tuple[int, int], source: Path) -> Bool[Tensor, "n h w"]:
        """Rasterise some annotations of one picture as COCO does; the box where there is no mask."""
        try:
            return decode_rle([self._rle(row, image_size) for row in rows], image_size)
        except UNREADABLE:
            bad = next(self.ids[row] for row in rows if not self._is_readable(row, image_size))
        height, width = image_size
        raise InputError(
            f"{source}: annotation {bad}: segmentation: it is neither polygons [[x, y, ...], ...] nor the run-length "
            f"encoding of a mask of height {height} and width {width}"
        )

    def _rle(self, row: int, image_size: tuple[int, int]) -> RLE:
        shape = self.segmentations[row]
        if not _is_mask(shape):
            x1, y1, x2, y2 = self.boxes[row].tolist()
            shape = [[x1, y1, x2, y1, x2, y2, x1, y2]]
        if isinstance(shape, list) and any(len(polygon) % 2 for polygon in shape):
            raise ValueError("a polygon is x, y, ...")  # which the library would take for an empty mask
        rle = coco_masks.segmToRle(shape, image_size[1], image_size[0])
        return RLE(size=list(rle["size"]), counts=rle["counts"].decode())

    def _is_readable(self, row: int, image_size: tuple[int, int]) -> bool:
        try:
            decode_rle([self._rle(row, image_size)], image_size)
        except UNREADABLE:
            return False
        return True


def load(path: Path) -> Document:
    """Load the lists `images`, `annotations` and `categories` of a file, each entry with an id."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: this is no JSON ({error})") from None
    fields = ("images", "annotations", "categories")
    for field in fields:
        rows = document.get(field) if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise InputError(f"{path}: there is no list {field!r}, so this is no COCO file of objects")
        for position, row in enumerate(rows):
            if not isinstance(row, dict) or "id" not in row:
                raise InputError(f"{path}: {field}: entry {position} has no 'id'")
        twice = [number for number, times in Counter(row["id"] for row in rows).items() if times > 1]
        if twice:
            raise InputError(f"{path}: {field}: several have the id {_first_ids(twice)}; give each its own")
    return {field: document[field] for field in fields}


def add_keypoints(document: Document, path: Path) -> list[str]:
    """Add another file's keypoints to the annotations and categories of the same id; gives the problems."""
    other = load(path)
    annotations = {row["id"]: row for row in document["annotations"]}
    unknown = []
    for row in other["annotations"]:
        if row["id"] not in annotations:
            unknown.append(row["id"])
        elif "keypoints" in row:
            annotations[row["id"]]["keypoints"] = row["keypoints"]
    bodies = {row["id"]: row for row in other["categories"]}
    for category in document["categories"]:
        body = bodies.get(category["id"], {})
        category.update((key, body[key]) for key in ("keypoints", "skeleton") if key in body)
    return [f"{path}: left out annotations {_first_ids(unknown)}: no object has their id"] if unknown else []


def objects(document: Document, sizes: Sequence[tuple[int, int]], source: Path) -> Objects:
    """Sort the annotations of pictures of the given `(height, width)`; labels follow the category ids' order."""
    annotations = document["annotations"]
    pictures = {image["id"]: position for position, image in enumerate(document["images"])}
    picture = np.array(_positions(annotations, "image_id", pictures, source), dtype=np.int64)
    boxes = _boxes(annotations, np.array(sizes, dtype=np.float64).reshape(-1, 2)[picture], source)
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(1)
    order = np.flatnonzero(has_area)[np.argsort(picture[has_area], kind="stable")]
    rows = [annotations[position] for position in order]

    problems = []
    if not has_area.all():
        flat = [annotations[position]["id"] for position in np.flatnonzero(~has_area)]
        problems.append(f"{source}: left out annotations {_first_ids(flat)}: their boxes have no area in the picture")
    for row in rows:
        _check_segmentation(row, source)
    bare = [row["id"] for row in rows if not _is_mask(row.get("segmentation"))]
    has_masks = len(bare) < len(rows)
    if has_masks and bare:
        problems.append(f"{source}: annotations {_first_ids(bare)} have no mask; their box stands for it")

    labels = {category["id"]: label for label, category in enumerate(_sorted(document["categories"]))}
    categories = _categories(document["categories"], source, has_masks=has_masks)
    keypoints = _keypoints(rows, len(categories.keypoint_names), source)
    contents: dict[Content, bool] = {
        "boxes": True,
        "masks": has_masks,
        "keypoints": keypoints is not None,
        "label_map": bool(categories.label_map_names),
    }
    return Objects(
        categories=categories,
        contents=frozenset(content for content, given in contents.items() if given),
        problems=problems,
        starts=np.searchsorted(picture[order], np.arange(len(sizes) + 1)).tolist(),
        ids=[row["id"] for row in rows],
        segmentations=[row.get("segmentation") for row in rows],
        boxes=torch.from_numpy(boxes[order]),
        labels=torch.tensor(_positions(rows, "category_id", labels, source), dtype=torch.int64),
        crowd=torch.tensor([bool(row.get("iscrowd")) for row in rows], dtype=torch.bool),
        difficult=torch.tensor([bool(row.get("ignore")) for row in rows], dtype=torch.bool),
        areas=_areas(rows, boxes[order]),
        keypoints=keypoints,
    )


def _categories(rows: Sequence[Row], source: Path, *, has_masks: bool) -> Categories:
    names = tuple(str(row.get("name", row["id"])) for row in _sorted(rows))
    bodies = {
        (tuple(row["keypoints"]), tuple((a - 1, b - 1) for a, b in row.get("skeleton", ())))
        for row in rows
        if row.get("keypoints")
    }
    if len(bodies) > 1:
        raise InputError(f"{source}: categories: the keypoints of several differ; keep those of one")
    keypoint_names, skeleton = bodies.pop() if bodies else ((), ())
    # 255 is a label map's ignore, so that more classes than that have none.
    label_map_names = (*names, BACKGROUND) if has_masks and len(names) < IGNORE else ()
    try:
        return Categories(
            class_names=names, label_map_names=label_map_names, keypoint_names=keypoint_names, skeleton=skeleton
        )
    except InputError as error:
        raise InputError(f"{source}: categories: {error}") from None


def _boxes(rows: Sequence[Row], sizes: NDArray[np.float64], source: Path) -> NDArray[np.float32]:
    """Turn each `bbox` (x, y, width, height) into a box, clipped to its picture."""
    for row in rows:
        numbers = row.get("bbox")
        if not isinstance(numbers, list) or len(numbers) != 4 or not all(isinstance(n, int | float) for n in numbers):
            raise InputError(f"{source}: annotation {row['id']}: bbox: {row.get('bbox')} is not [x, y, width, height]")
    xywh = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
    corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    clipped: NDArray[np.float32] = np.clip(corners, 0, np.tile(sizes[:, ::-1], 2)).astype(np.float32)
    return clipped


def _areas(rows: Sequence[Row], boxes: NDArray[np.float32]) -> Float[Tensor, " n"]:
    """Take the `area` of every annotation in square pixels, that of the box where it has none."""
    pairs = zip((row.get("area") for row in rows), (boxes[:, 2:] - boxes[:, :2]).prod(1).tolist(), strict=True)
    areas = [area if isinstance(area, int | float) and area > 0 else of_box for area, of_box in pairs]
    return torch.tensor(areas, dtype=torch.float64)


def _keypoints(rows: Sequence[Row], num_keypoints: int, source: Path) -> Float[Tensor, "n k 3"] | None:
    """Take every annotation's `keypoints` (x, y, visibility, ...), zeros where it has none; `None` if all lack them."""
    if not any(row.get("keypoints") for row in rows):
        return None
    keypoints = torch.zeros(len(rows), num_keypoints, 3)
    for index, row in enumerate(rows):
        values = row.get("keypoints")
        if values and len(values) != 3 * num_keypoints:
            raise InputError(
                f"{source}: annotation {row['id']}: keypoints: {len(values)} numbers, "
                f"but its category names {num_keypoints} keypoints of 3 each"
            )
        if values:
            keypoints[index] = torch.tensor(values).view(num_keypoints, 3)
    return keypoints


def _positions(rows: Sequence[Row], field: str, positions: Mapping[Any, int], source: Path) -> list[int]:
    for row in rows:
        if row.get(field) not in positions:
            raise InputError(f"{source}: annotation {row['id']}: {field}: {row.get(field)} is no id of this file")
    return [positions[row[field]] for row in rows]


def _check_segmentation(row: Row, source: Path) -> None:
    shape = row.get("segmentation")
    if isinstance(shape, list) and all(isinstance(polygon, list) for polygon in shape):
        return
    if shape is not None and not isinstance(shape, dict):
        raise InputError(
            f"{source}: annotation {row['id']}: segmentation: it is neither polygons [[x, y, ...], ...] nor a "
            "run-length encoding"
        )


def _is_mask(segmentation: Any) -> bool:
    """Tell whether there is a run-length encoding or a polygon of three corners at least."""
    return isinstance(segmentation, dict) or any(len(polygon) >= 6 for polygon in segmentation or ())


def _sorted(categories: Sequence[Row]) -> list[Row]:
    return sorted(categories, key=lambda category: category["id"])


def _first_ids(ids: Sequence[int]) -> str:
    return ", ".join(str(number) for number in ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
