"""A data set is written as COCO JSON: rows of pictures, annotations and categories."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from delineate.data.dataset import Dataset
from delineate.data.files import store_pictures, write_text
from delineate.ops.masks import boxes_of_masks, encode_rle, paint_label_map
from delineate.values import IGNORE, Categories, Target


def write(dataset: Dataset, root: Path, split: str) -> list[str]:
    """Write `annotations/instances_{split}.json` and `images/{split}/`; gives the lines that say what was lost.

    A data set of label maps alone becomes one region for every class in a picture.
    """
    num_classes = dataset.categories.num_classes
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    num_regions = num_other_maps = 0
    for number, (path, target) in enumerate(store_pictures(dataset, root / "images" / split), start=1):
        if "boxes" not in dataset.contents:
            target = _regions(target, num_classes)
            num_regions += len(target)
        num_other_maps += not _is_painted(target, dataset.categories.background)
        height, width = target.image_size
        images.append({"id": number, "file_name": path.name, "height": height, "width": width})
        for row in object_rows(target):
            annotations.append({"id": len(annotations) + 1, "image_id": number, **row})
    document = {"images": images, "annotations": annotations, "categories": category_rows(dataset.categories)}
    write_text(root / "annotations" / f"instances_{split}.json", json.dumps(document))

    lost = []
    if num_regions:
        lost.append(f"instances: label maps do not tell them; {num_regions} regions, one a class and picture, stand in")
    if num_other_maps:
        lost.append(f"label maps of {num_other_maps} pictures: COCO holds masks, which do not paint these maps exactly")
    return lost


def object_rows(target: Target) -> list[dict[str, Any]]:
    """Write the objects of a picture as annotations, which have no numbers yet."""
    rles = None if target.masks is None else encode_rle(target.masks)
    rows = []
    for index, (x1, y1, x2, y2) in enumerate(target.boxes.tolist()):
        row = {
            "category_id": int(target.labels[index]) + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": int(target.crowd[index]),
        }
        if target.difficult[index]:
            row["ignore"] = 1
        if target.masks is not None and rles is not None:
            row |= {"segmentation": rles[index], "area": int(target.masks[index].sum())}
        if target.keypoints is not None and target.visibility is not None:
            visibility = target.visibility[index]
            positions = target.keypoints[index].nan_to_num(0, 0, 0)  # of what is not annotated, they may be anything
            points = torch.cat([positions, visibility[:, None]], dim=1)
            row |= {"keypoints": points.flatten().tolist(), "num_keypoints": int(visibility.count_nonzero())}
        rows.append(row)
    return rows


def category_rows(categories: Categories) -> list[dict[str, Any]]:
    """Write classes, counted from 1, with the keypoints that their objects have."""
    body: dict[str, Any] = {}
    if categories.keypoint_names:
        skeleton = [[a + 1, b + 1] for a, b in categories.skeleton]
        body = {"keypoints": list(categories.keypoint_names), "skeleton": skeleton}
        if categories.flip_order != replace(categories, flip_order=()).flip_order:  # which readers find in the names
            body["flip_order"] = list(categories.flip_order)
    return [{"id": label + 1, "name": name, **body} for label, name in enumerate(categories.class_names)]


def _regions(target: Target, num_classes: int) -> Target:
    """Make an object of each class of the label map."""
    assert target.label_map is not None
    labels = target.label_map.flatten().bincount(minlength=num_classes)[:num_classes].nonzero().flatten()
    masks = target.label_map == labels[:, None, None]
    none = torch.zeros(len(labels), dtype=torch.bool)
    return replace(target, boxes=boxes_of_masks(masks), labels=labels, masks=masks, crowd=none, difficult=none)


def _is_painted(target: Target, background: int) -> bool:
    """Tell whether a reader that paints the masks gets the label map."""
    if target.label_map is None:
        return True
    if target.masks is None:
        return False
    values = target.labels.masked_fill(target.crowd, IGNORE)
    return torch.equal(paint_label_map(target.masks, values, background), target.label_map)
