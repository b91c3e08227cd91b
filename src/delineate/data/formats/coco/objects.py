"""The annotations of a COCO file are sorted by picture, and their numbers made tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from delineate.data.formats.coco.bodies import outside, read_keypoints
from delineate.data.formats.coco.boxes import read_boxes, worth_keeping
from delineate.data.formats.coco.categories import in_use, read_categories
from delineate.data.formats.coco.rows import Document, Row, places, said_of
from delineate.data.formats.coco.segmentations import is_mask, rasterise, read_segmentations
from delineate.data.numbers import column, flags
from delineate.values import Categories, Content, InputError, counted


@dataclass(frozen=True, kw_only=True, eq=False)
class Objects:
    """The annotations of a file; those of picture `i` are the rows `starts[i]` up to `starts[i + 1]`."""

    categories: Categories
    contents: frozenset[Content]
    problems: Sequence[str]
    starts: Sequence[int]
    ids: Sequence[Any]
    segmentations: Sequence[Any]
    boxes: Float[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    crowd: Bool[Tensor, " n"]
    difficult: Bool[Tensor, " n"]
    areas: Float[Tensor, " n"]
    keypoints: Float[Tensor, "n k 3"] | None

    def masks(self, rows: range, image_size: tuple[int, int], source: Path) -> Bool[Tensor, "n h w"]:
        """Rasterise some annotations of one picture as COCO does; the box where there is no mask."""
        shapes = [self.segmentations[row] for row in rows]
        for number, row in enumerate(rows):
            if not is_mask(shapes[number]):
                x1, y1, x2, y2 = self.boxes[row].tolist()
                shapes[number] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
        ids = [self.ids[row] for row in rows]
        return rasterise(shapes, image_size, lambda row: f"{source}: annotation {ids[row]}: segmentation")


def read_objects(document: Document, sizes: Sequence[tuple[int, int]], source: Path) -> Objects:
    """Sort the annotations of pictures of the given `(height, width)`; labels follow the category ids' order.

    Where a size is not known (0), boxes are not cut. Raises `InputError` naming the file, the annotation and the field.
    """
    annotations = document["annotations"]
    pictures = {image["id"]: position for position, image in enumerate(document["images"])}
    picture = np.array(_positions(annotations, "image_id", pictures, source), dtype=np.int64)
    category_rows, problems = in_use(document["categories"], annotations, source)
    labels = {category["id"]: label for label, category in enumerate(category_rows)}
    label = np.array(_positions(annotations, "category_id", labels, source), dtype=np.int64)
    shapes = read_segmentations(
        [row.get("segmentation") for row in annotations], places(annotations, "segmentation", source)
    )
    limits = np.array(sizes, dtype=np.float64).reshape(-1, 2)[picture]
    boxes, said = read_boxes(annotations, shapes, limits, source)
    kept, left_out = worth_keeping(annotations, picture, label, boxes, source)
    order = kept[np.argsort(picture[kept], kind="stable")]
    rows = [annotations[position] for position in order]
    segmentations = [shapes[position] for position in order]

    bare = np.array([not is_mask(shape) for shape in segmentations], dtype=np.bool_)
    has_masks = bool((~bare).any())
    problems += [*_of_one_id(annotations, source), *said, *left_out]
    problems += said_of(rows, bare & has_masks, source, "{} without mask; the box stands for it")
    categories, guessed = read_categories(category_rows, rows, source, has_masks=has_masks)
    keypoints = read_keypoints(rows, categories.keypoint_names, source)
    return Objects(
        categories=categories,
        contents=_contents(categories, keypoints, has_masks=has_masks),
        problems=[*problems, *guessed, *outside(keypoints, rows, limits[order], source)],
        starts=np.searchsorted(picture[order], np.arange(len(sizes) + 1)).tolist(),
        ids=[row["id"] for row in rows],
        segmentations=segmentations,
        boxes=torch.from_numpy(boxes[order]),
        labels=torch.from_numpy(label[order]),
        crowd=_flags(rows, "iscrowd", source),
        difficult=_flags(rows, "ignore", source),
        areas=_areas(rows, boxes[order], source),
        keypoints=keypoints,
    )


def _contents(categories: Categories, keypoints: Tensor | None, *, has_masks: bool) -> frozenset[Content]:
    given: dict[Content, bool] = {
        "boxes": True,
        "masks": has_masks,
        "keypoints": keypoints is not None,
        "label_map": bool(categories.label_map_names),
    }
    return frozenset(content for content, is_given in given.items() if is_given)


def _of_one_id(rows: Sequence[Row], source: Path) -> list[str]:
    """Say how many annotations share their ids, which name them in such lines, and nothing else."""
    count = len(rows) - len({row["id"] for row in rows})
    return [f"{source}: {counted(count, 'annotation')} with the id of another one, read as any other"] if count else []


def _positions(rows: Sequence[Row], field: str, positions: Mapping[Any, int], source: Path) -> list[int]:
    try:
        return [positions[row[field]] for row in rows]
    except KeyError:
        bad = next(row for row, entry in enumerate(rows) if entry.get(field) not in positions)
    raise InputError(f"{places(rows, field, source)(bad)}: {rows[bad].get(field)!r:.40} is no id of this file")


def _flags(rows: Sequence[Row], field: str, source: Path) -> Bool[Tensor, " n"]:
    return torch.tensor(flags([row.get(field) for row in rows], places(rows, field, source))).bool()


def _areas(rows: Sequence[Row], boxes: NDArray[np.float32], source: Path) -> Float[Tensor, " n"]:
    """Take the `area` of every annotation in square pixels, that of the box where it has none."""
    areas = column([row.get("area") or 0 for row in rows], places(rows, "area", source))
    of_boxes = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return torch.from_numpy(np.where(areas > 0, areas, of_boxes).astype(np.float64))
