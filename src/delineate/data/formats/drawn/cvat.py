"""CVAT for images 1.1: `annotations.xml` beside `images/`, as the Computer Vision Annotation Tool exports it."""

import math
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import torch

from delineate.data.dataset import EVERYTHING
from delineate.data.folders import home_of
from delineate.data.formats.coco import Coco
from delineate.data.formats.drawn.dataset import dataset
from delineate.data.formats.drawn.files import annotation_files, has_annotations
from delineate.data.formats.drawn.shapes import (
    Drawing,
    Shape,
    ellipse,
    given_size,
    mask_at,
    remarks_of_swapped,
    turned,
)
from delineate.data.formats.markup import parsed
from delineate.data.formats.split_names import WITHOUT_SPLITS, split_of, split_of_list
from delineate.data.images import MAX_PIXELS
from delineate.data.numbers import number, whole
from delineate.ops.masks import RLE
from delineate.values import Content, InputError

NO_OBJECTS = {
    "points": "points and lines, which have no area",
    "polyline": "points and lines, which have no area",
    "tag": "tags, which are of whole pictures",
    "cuboid": "cuboids",
    "skeleton": "skeletons (CVAT's export COCO Keypoints 1.0 has them)",
}


def recognises(root: Path) -> bool:
    """Tell whether there is an XML file of CVAT's."""
    return has_annotations(root, "cvat", ".xml")


def splits(root: Path) -> list[str]:
    """List the subsets that pictures have, or their files' or folders' names say; else `all`."""
    return sorted({_split(root, path, image) for path in _sources(root) for image in parsed(path).findall("image")})


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Coco:
    """Read one split; the classes are the project's labels, in its order.

    Raises `InputError` naming the file, the picture and the shape.
    """
    drawings, names = drawn(root)
    return dataset(root, split, needs, drawings, names)


def drawn(root: Path) -> tuple[list[Drawing], list[str]]:
    """Read what is drawn on the pictures of all splits, and the project's labels."""
    drawings: list[Drawing] = []
    names: dict[str, None] = {}
    for path in _sources(root):
        document = parsed(path)
        labels = [label for label in document.iterfind("meta//labels/label") if label.find("parent") is None]
        names |= {label.findtext("name", "").strip(): None for label in labels}  # a set in their order
        drawings += [_drawing(image, path, _split(root, path, image)) for image in document.findall("image")]
    return drawings, list(names)


def _sources(root: Path) -> list[Path]:
    return annotation_files(root, "cvat", ".xml")


def _split(root: Path, path: Path, image: Element) -> str:
    """Take a picture's subset; else what the XML file's folder or name says, or the picture's folder."""
    of_file = split_of_list(path.relative_to(home_of(root)))
    of_picture = split_of(Path(image.get("name", "")))
    return image.get("subset") or (of_picture if of_file == WITHOUT_SPLITS else of_file)


def _drawing(image: Element, source: Path, split: str) -> Drawing:
    picture = image.get("name", "")
    if not picture:
        raise InputError(f"{source}: image {image.get('id')} has no name")
    size = given_size(image.get("height"), image.get("width"), f"{source}: {picture}")
    remarks: dict[str, list[str]] = defaultdict(list)
    shapes: list[Shape] = []
    broken: list[InputError] = []
    for place, element in enumerate(image, start=1):
        where = f"{picture}: shape {place}"
        if element.tag in NO_OBJECTS:
            remarks[f"left out {NO_OBJECTS[element.tag]}"].append(where)
        elif element.get("outside") == "1":
            remarks["left out shapes outside of their pictures"].append(where)
        else:
            try:
                shapes.append(_shape(element, size, where, f"{source}: {where}"))
            except InputError as error:
                broken.append(error)
                continue
            remarks_of_swapped(shapes[-1], remarks)
            if element.tag == "box" and _angle(element, f"{source}: {where}"):
                remarks["read the upright boxes around turned ones"].append(where)
    subset = image.get("subset")
    return Drawing(
        source=source,
        split=split,
        names=[f"{subset}/{picture}" if subset else picture],
        image_size=size,
        shapes=shapes,
        remarks=remarks,
        broken=broken,
    )


def _shape(element: Element, image_size: tuple[int, int] | None, id_: str, where: str) -> Shape:
    name, group = element.get("label", ""), element.get("group_id", "0")
    if not name:
        raise InputError(f"{where}: it has no label")
    return Shape(name=name, where=id_, group=None if group == "0" else group, **_outline(element, image_size, where))


def _outline(element: Element, image_size: tuple[int, int] | None, where: str) -> dict[str, Any]:
    """Read what a shape covers, as the fields of `Shape`."""
    match element.tag:
        case "box":
            x1, y1, x2, y2 = (_number(element, side, where) for side in ("xtl", "ytl", "xbr", "ybr"))
            corners = turned([x1, y1, x2, y1, x2, y2, x1, y2], _angle(element, where))
            return {"corners": corners, "is_box": True, "swapped": x1 > x2 or y1 > y2}
        case "polygon":
            points = [point.split(",") for point in (element.get("points") or "").split(";")]
            if len(points) < 3 or any(len(point) != 2 for point in points):
                raise InputError(f"{where}: points: {element.get('points')!r:.80} is no polygon x,y;x,y;x,y ...")
            return {"corners": [number(value, f"{where}: points") for point in points for value in point]}
        case "ellipse":
            x, y, *radii = (_number(element, name, where) for name in ("cx", "cy", "rx", "ry"))
            return {"corners": ellipse(x, y, (radii[0], radii[1]), _angle(element, where))}
        case "mask":
            return {"mask": _mask(element, image_size, where)}
    raise InputError(f"{where}: a {element.tag!r} is not known; draw a box, polygon, ellipse or mask")


def _mask(element: Element, image_size: tuple[int, int] | None, where: str) -> RLE:
    """Fill a mask: lengths of runs without and with it in turn, by rows of its extent."""
    left, top, width, height = (_whole(element, name, where) for name in ("left", "top", "width", "height"))
    runs = [whole(run, f"{where}: rle") for run in (element.get("rle") or "").split(",")]
    if min(runs) < 0 or sum(runs) != width * height or not 0 < sum(runs) <= MAX_PIXELS:
        raise InputError(f"{where}: rle: its runs do not fill {width} x {height} pixels")
    filled = torch.arange(len(runs)) % 2 == 1
    part = filled.repeat_interleave(torch.tensor(runs)).view(height, width)
    return mask_at(part, left, top, image_size, where)


def _angle(element: Element, where: str) -> float:
    """Read the angle in radians by which a shape is turned clockwise."""
    return math.radians(number(element.get("rotation", 0), f"{where}: rotation"))


def _number(element: Element, name: str, where: str) -> float:
    return number(element.get(name), f"{where}: {name}")


def _whole(element: Element, name: str, where: str) -> int:
    return whole(element.get(name), f"{where}: {name}")
