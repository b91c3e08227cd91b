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
from PIL import Image

from delineate.data.dataset import EVERYTHING
from delineate.data.files import read_json, read_lines
from delineate.data.folders import home_of
from delineate.data.formats.coco import Coco
from delineate.data.formats.drawn.dataset import dataset
from delineate.data.formats.drawn.files import annotation_files, has_annotations
from delineate.data.formats.drawn.shapes import Drawing, Shape, ellipse, given_size, mask_at
from delineate.data.formats.split_names import split_of
from delineate.data.images import read_header, read_stream
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
    drawings, names = drawn(root)
    return dataset(root, split, needs, drawings, names, LabelMe)


def drawn(root: Path) -> tuple[list[Drawing], list[str]]:
    """Read what is drawn on the pictures of all splits, and the list of classes, if there is one."""
    paths = annotation_files(root, "labelme", ".json")
    return [_drawing_or_error(path, _split(root, path)) for path in paths], _class_names(root)


@dataclass(kw_only=True, eq=False)
class LabelMe(Coco):
    """One split; a picture that is no file is decoded from the JSON file of its name."""

    def __getitem__(self, index: int) -> Sample:
        file = self.files[index]
        if file.is_file():
            return super().__getitem__(index)
        image = read_stream(io.BytesIO(held_in(self.sources[index])), str(self.sources[index]))
        return Sample(image=image, target=self.target(index, self.sizes[index]), file=str(file))


def _split(root: Path, path: Path) -> str:
    return split_of(path.relative_to(home_of(root)))


def _class_names(root: Path) -> list[str]:
    """Read the list that LabelMe is started with, where it was kept."""
    source = root / "labels.txt"
    return [name for name in read_lines(source) if name not in NO_CLASSES] if source.is_file() else []


def held_in(source: Path) -> bytes:
    """Give the file of the picture that an annotation file holds; raises `InputError` where it is no base64."""
    return _decoded(read_json(source)["imageData"], f"{source}: imageData")


def _drawing_or_error(path: Path, split: str) -> Drawing:
    try:
        return _drawing(path, split)
    except InputError as error:
        return Drawing(source=path, split=split, names=[path.stem], image_size=None, shapes=(), broken=[error])


def _drawing(path: Path, split: str) -> Drawing:
    document = read_json(path)
    rows = document.get("shapes") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: 'shapes' is no list of shapes")
    data = document.get("imageData")
    size = given_size(document.get("imageHeight"), document.get("imageWidth"), str(path))
    if size is None and isinstance(data, str):
        size = read_header(path, io.BytesIO(_decoded(data, f"{path}: imageData"))).size
    remarks: dict[str, list[str]] = defaultdict(list)
    shapes: list[Shape] = []
    broken: list[InputError] = []
    for place, row in enumerate(rows, start=1):
        name, kind = str(row.get("label") or "").strip(), str(row.get("shape_type") or "polygon")
        where = f"{path.name}: shape {place}"
        reason = _no_object(name, kind)
        if reason:
            remarks[reason].append(where)
            continue
        group = None if row.get("group_id") is None else str(row["group_id"])
        try:
            outline = _outline(row, kind, size, f"{path}: shape {place}")
        except InputError as error:
            broken.append(error)
        else:
            shapes.append(Shape(name=name, where=where, group=group, **outline))
    return Drawing(
        source=path,
        split=split,
        names=[str(document.get("imagePath") or path.stem), path.stem],
        image_size=size,
        shapes=shapes,
        remarks=remarks,
        embedded=isinstance(data, str),
        broken=broken,
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


def _opened(data: Any, where: str) -> Image.Image:
    """Open a picture that is written as base64; raises `InputError` that says where, if it is none."""
    try:
        picture = Image.open(io.BytesIO(_decoded(data, where)))
        picture.load()
    except Exception:  # Pillow's decoders raise nearly anything on broken data
        raise InputError(f"{where}: this is no picture in base64") from None
    return picture


def _decoded(data: Any, where: str) -> bytes:
    try:
        return base64.b64decode(data)
    except (TypeError, ValueError):
        raise InputError(f"{where}: this is no picture in base64") from None
