"""A data set is written as YOLO: pictures, label files and `data.yaml`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from jaxtyping import Bool
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.files import store_pictures, write_text
from delineate.data.formats.polygons import outline
from delineate.data.formats.yolo.description import describe
from delineate.data.formats.yolo.files import DESCRIPTIONS
from delineate.ops.masks import boxes_of_masks, paint_label_map
from delineate.values import Categories, InputError, Target


def write(dataset: Dataset, root: Path, split: str) -> list[str]:
    """Write `images/{split}`, `labels/{split}` and the split's entry in `data.yaml`; gives the lines of what was lost.

    Lines are polygons where there are masks, else poses where there are keypoints, else boxes. Raises `InputError`
    when `root` has other classes or keypoints already.
    """
    has_masks = "masks" in dataset.contents
    has_poses = "keypoints" in dataset.contents and not has_masks
    categories = _held(dataset.categories, has_poses)
    description = _description(categories) | _other_splits(root, categories)
    lost: Counter[str] = Counter()
    for path, target in store_pictures(dataset, root / "images" / split):
        kept = _fitting(target)
        lost += _lost(target, kept, dataset.categories)
        lines = polygon_lines(target[kept]) if has_masks else box_lines(target[kept], has_poses)
        write_text(root / "labels" / split / f"{path.stem}.txt", "".join(f"{line}\n" for line in lines))
    description[split] = f"images/{split}"
    write_text(root / DESCRIPTIONS[0], yaml.safe_dump(description, sort_keys=False, allow_unicode=True))
    return [line.format(count) for line, count in sorted(lost.items())]


def _fitting(target: Target) -> Bool[Tensor, " n"]:
    """Tell which objects are written: none that are a crowd, and none whose mask has no pixel."""
    return ~target.crowd if target.masks is None else ~target.crowd & target.masks.any(2).any(1)


def _lost(target: Target, kept: Bool[Tensor, " n"], categories: Categories) -> Counter[str]:
    """Count what YOLO cannot hold of one picture, a line each."""
    lost: Counter[str] = Counter()
    lost["crowd: {} regions are left out"] = int(target.crowd.sum())
    lost["difficult: {} objects are written as ordinary ones"] = int(target.difficult[kept].sum())
    painted = None
    if target.masks is not None:
        lost["masks: {} objects without a pixel are left out"] = int((~target.crowd & ~kept).sum())
        differ = (boxes_of_masks(target.masks[kept]) != target.boxes[kept]).any(1)
        lost["boxes of {} objects: their masks' extents take their place"] = int(differ.sum())
        painted = paint_label_map(target.masks[kept], target.labels[kept], categories.num_classes)
        if target.visibility is not None:
            lost["keypoints of {} objects: lines of polygons have none"] = int((target.visibility > 0).any(1).sum())
    if target.label_map is not None and (painted is None or not painted.equal(target.label_map)):
        lost["label maps of {} pictures: YOLO holds objects, whose masks do not paint these maps"] = 1
    return +lost


def polygon_lines(target: Target) -> list[str]:
    """Write `class x1 y1 x2 y2 ...` for each object, whose mask has a pixel."""
    assert target.masks is not None
    height, width = target.image_size
    corners = [torch.from_numpy(outline(mask)) / torch.tensor([width, height]) for mask in target.masks]
    return [
        _line(label, polygon.flatten().tolist()) for label, polygon in zip(target.labels.tolist(), corners, strict=True)
    ]


def box_lines(target: Target, has_poses: bool) -> list[str]:
    """Write `class x y w h`, and `x y visibility` for each keypoint of a pose."""
    height, width = target.image_size
    size = torch.tensor([width, height], dtype=torch.float64)
    start, end = target.boxes.double().view(-1, 2, 2).unbind(1)
    numbers = [(start + end) / 2 / size, (end - start) / size]
    if has_poses:
        assert target.keypoints is not None
        assert target.visibility is not None
        numbers.append(
            torch.cat([target.keypoints.double() / size, target.visibility.double()[..., None]], 2).flatten(1)
        )
    return [
        _line(label, row) for label, row in zip(target.labels.tolist(), torch.cat(numbers, 1).tolist(), strict=True)
    ]


def _line(label: int, numbers: Sequence[float]) -> str:
    """Write twelve digits, so that a float32 in pixels survives."""
    return " ".join([str(label), *(f"{number:.12g}" for number in numbers)])


def _held(categories: Categories, has_poses: bool) -> Categories:
    """Keep the names that YOLO can hold."""
    if not has_poses:
        return Categories(class_names=categories.class_names)
    return replace(categories, label_map_names=())


def _description(categories: Categories) -> dict[str, Any]:
    description: dict[str, Any] = {"names": dict(enumerate(categories.class_names))}
    if categories.keypoint_names:
        description |= {
            "kpt_shape": [len(categories.keypoint_names), 3],
            "flip_idx": list(categories.flip_order),
            "kpt_names": {0: list(categories.keypoint_names)},
            "skeleton": [list(edge) for edge in categories.skeleton],
        }
    return description


def _other_splits(root: Path, categories: Categories) -> dict[str, Any]:
    """Read the splits that `root` has already."""
    path = root / DESCRIPTIONS[0]
    if not path.exists():
        return {}
    written = describe(path)
    if written.categories != categories:
        raise InputError(f"{path}: describes other classes or keypoints than the new split; give an empty folder")
    return {split: entries[0] if len(entries) == 1 else list(entries) for split, entries in written.entries.items()}
