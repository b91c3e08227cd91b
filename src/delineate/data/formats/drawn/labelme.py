"""LabelMe: one JSON file a picture, beside it or in a folder of its own, with the shapes drawn on it (Wada 2018)."""

import base64
import io
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from delineate.data.dataset import EVERYTHING
from delineate.data.files import read_json, read_lines
from delineate.data.folders import home_of
from delineate.data.formats.coco import Coco
from delineate.data.formats.drawn.dataset import dataset
from delineate.data.formats.drawn.files import annotation_files, has_annotations
from delineate.data.formats.drawn.shapes import Drawing, Shape, ellipse, given_size, mask_at
from delineate.data.formats.split_names import split_of
from delineate.data.images import from_pil
from delineate.data.numbers import numbers
from delineate.ops.masks import RLE
from delineate.values import Content, InputError, Sample

POLYGONS = frozenset({"polygon", "rotation", "oriented_rectangle", "quadrilateral"})
NO_AREA = frozenset({"point", "points", "line", "linestrip", "linestring"})
NO_CLASSES = frozenset({"__ignore__", "_background_"})


def recognises(root: Path) -> bool:
    """Tell whether there is a JSON file with LabelMe's shapes."""
    return has_annotations(root, "labelme", ".json")


def splits(root: Path) -> list[str]:
    """List the folders of JSON files that have a split's name; what is in none of them is `all`."""
    return sorted({_split(root, path) for path in annotation_files(root, "labelme", ".json")})


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Coco:
    """Read one split; the classes are the labels of all splits, sorted, or those of `labels.txt`.

    Raises `InputError` naming the file and the shape.
    """
    drawings = [_drawing(path, _split(root, path)) for path in annotation_files(root, "labelme", ".json")]
    return dataset(root, split, needs, drawings, _class_names(root), LabelMe)


@dataclass(kw_only=True, eq=False)
class LabelMe(Coco):
    """One split; a picture that is no file is decoded from the JSON file of its name."""

    def __getitem__(self, index: int) -> Sample:
        file = self.files[index]
        if file.is_file():
            return super().__getitem__(index)
        source = file.with_suffix(".json")
        image = _embedded(read_json(source)["imageData"], source)
        return Sample(image=image, target=self.target(index, self.sizes[index]), file=str(file))


def _split(root: Path, path: Path) -> str:
    return split_of(path.relative_to(home_of(root)))


def _class_names(root: Path) -> list[str]:
    """Read the list that LabelMe is started with, where it was kept."""
    source = root / "labels.txt"
    return [name for name in read_lines(source) if name not in NO_CLASSES] if source.is_file() else []


def _drawing(path: Path, split: str) -> Drawing:
    document = read_json(path)
    rows = document.get("shapes") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: 'shapes' is no list of shapes")
    data = document.get("imageData")
    size = given_size(document.get("imageHeight"), document.get("imageWidth"), str(path))
    if size is None and isinstance(data, str):
        _, height, width = _embedded(data, path).shape
        size = height, width
    remarks: dict[str, list[str]] = defaultdict(list)
    shapes = []
    for place, row in enumerate(rows, start=1):
        name, kind = str(row.get("label") or "").strip(), str(row.get("shape_type") or "polygon")
        where = f"{path.name}: shape {place}"
        reason = _no_object(name, kind)
        if reason:
            remarks[reason].append(where)
            continue
        group = None if row.get("group_id") is None else str(row["group_id"])
        shapes.append(Shape(name=name, where=where, group=group, **_outline(row, kind, size, f"{path}: shape {place}")))
    return Drawing(
        source=path,
        split=split,
        names=[str(document.get("imagePath") or path.stem), path.stem],
        image_size=size,
        shapes=shapes,
        remarks=remarks,
        embedded=isinstance(data, str),
    )


def _no_object(name: str, kind: str) -> str:
    """Say why a shape is no object, or nothing."""
    if kind in NO_AREA:
        return "left out points and lines, which have no area"
    if name in NO_CLASSES:
        return f"left out shapes labelled {name}"
    return "" if name else "left out shapes without a label"


def _outline(row: dict[str, Any], kind: str, image_size: tuple[int, int] | None, where: str) -> dict[str, Any]:
    """Read what a shape covers, as the fields of `Shape`."""
    points = row.get("points")
    if not isinstance(points, list):
        raise InputError(f"{where}: points: {points!r:.80} is no list of points")
    corners = [value for point in points for value in numbers(point, f"{where}: points", 2)]
    least = 3 if kind in POLYGONS else 2
    if len(points) < least:
        raise InputError(
            f"{where}: points: a {kind} has {least} at least, not {len(points)}; draw it again or remove it"
        )
    match kind:
        case "rectangle":
            return {"corners": corners, "is_box": True}
        case "circle":
            radius = math.dist(corners[:2], corners[2:4])
            return {"corners": ellipse(corners[0], corners[1], (radius, radius))}
        case "mask":
            return {"mask": _mask(row.get("mask"), corners[:2], image_size, where)}
        case _ if kind in POLYGONS:
            return {"corners": corners}
    raise InputError(f"{where}: shape_type: {kind!r} is not known; draw a polygon, rectangle, circle or mask")


def _mask(data: Any, corner: Sequence[float], image_size: tuple[int, int] | None, where: str) -> RLE:
    """Decode a mask, which is a PNG of its extent alone."""
    part = torch.from_numpy(np.array(_opened(data, f"{where}: mask").convert("L"))) > 0
    return mask_at(part, round(corner[0]), round(corner[1]), image_size, where)


def _embedded(data: Any, path: Path) -> UInt8[Tensor, "3 h w"]:
    return from_pil(_opened(data, f"{path}: imageData"), str(path))


def _opened(data: Any, where: str) -> Image.Image:
    """Open a picture that is written as base64; raises `InputError` that says where, if it is none."""
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        picture.load()
    except Exception:  # Pillow's decoders raise nearly anything on broken data
        raise InputError(f"{where}: this is no picture in base64") from None
    return picture
