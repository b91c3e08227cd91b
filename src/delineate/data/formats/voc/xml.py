"""An XML file of Pascal VOC says which objects are in one picture; tools write it with many tags and encodings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from delineate.data.formats.markup import parsed
from delineate.data.numbers import flag, number
from delineate.values import InputError, listed

SIDES = ("xmin", "ymin", "xmax", "ymax")
BESIDE = frozenset({"filename", "folder", "path", "size", "source", "segmented"})
"""One of these tags is in VOC's annotation of a picture without objects."""
OTHERS = frozenset({"bndbox", "robndbox", "bbox", "box", "polygon", "points", "rectangle", "obj", "objects", *SIDES})
"""None of these tags is in it."""


@dataclass(frozen=True)
class Object:
    """One object of an XML file; its box is `x1 y1 x2 y2`, not yet clipped to the picture.

    `swapped` objects had their corners put right.
    """

    name: str
    box: tuple[float, float, float, float]
    difficult: bool
    swapped: bool = False


@dataclass(frozen=True)
class Annotation:
    """An XML file has the objects of a picture and says its `(height, width)`, 0 where it does not."""

    objects: tuple[Object, ...]
    size: tuple[int, int]


def read_xml(path: Path) -> Annotation:
    """Read the objects of a file, whatever its capitals, namespaces, nestings and encoding.

    Raises `InputError` naming the file and the object, and where nothing of VOC's is in the file.
    """
    root = parsed(path)
    objects = tuple(
        read_object(element, f"{path}: object {row}") for row, element in enumerate(elements_of(root, path), start=1)
    )
    return Annotation(objects, size_of(root, path))


def elements_of(root: Element, path: Path) -> list[Element]:
    """Find the elements of the objects; raises `InputError` where nothing of VOC's is in the file."""
    elements = [
        element
        for element in root.iter("object")
        if element.find("bndbox") is not None or element.find("object") is None  # an object may hold the others
    ]
    _check_understood(root, elements, path)
    return elements


def size_of(root: Element, path: Path) -> tuple[int, int]:
    """Read the `(height, width)` that a file says, 0 where it does not."""
    size = inside(root, "size")
    height, width = (0 if size is None else _side(size, tag, path) for tag in ("height", "width"))
    return height, width


def read_object(element: Element, where: str) -> Object:
    """Read one object; raises `InputError` that begins with `where`."""
    name = _text(element, "name")
    if not name:
        raise InputError(f"{where} has no name")
    box = inside(element, "bndbox")
    if box is None:
        there = ", ".join(child.tag for child in element) or "nothing"
        raise InputError(f"{where}, {name}: there is no bndbox with {', '.join(SIDES)} (there is {there})")
    if len(element.findall("bndbox")) > 1:
        raise InputError(f"{where}, {name}: has several bndbox; write an <object> for each")
    x1, y1, x2, y2 = (number(_text(box, side) or None, f"{where}, {name}: {side}") for side in SIDES)
    difficult = _text(element, "difficult")
    (left, right), (top, bottom) = _edges(x1, x2), _edges(y1, y2)
    return Object(
        name=name,
        box=(left, top, right, bottom),
        difficult=difficult.lower() != "unspecified" and flag(difficult, f"{where}, {name}: difficult"),
        swapped=(right, bottom) != (x2, y2),
    )


def _edges(first: float, last: float) -> tuple[float, float]:
    """Give the edges of VOC's first and last pixel, which are counted from 1, in their order."""
    return (last - 1, first) if first - 1 > last else (first - 1, last)


def _side(size: Element, tag: str, path: Path) -> int:
    """Read a side of the picture; one that is not there, or is no number above 0, is 0."""
    text = _text(size, tag)
    if text.lower() in ("", "none", "null", "nan"):
        return 0
    return max(round(number(text, f"{path}: size: {tag}")), 0)


def _text(element: Element, tag: str) -> str:
    found = inside(element, tag)
    return "" if found is None else (found.text or "").strip()


def inside(element: Element, tag: str) -> Element | None:
    """Find a tag right below the element, or deeper, though not in the `part`s of an object."""
    found = element.find(tag)
    if found is not None:
        return found
    inner = (child for child in element if child.tag not in ("part", "object"))
    return next((found for child in inner if (found := inside(child, tag)) is not None), None)


def _check_understood(root: Element, objects: Sequence[Element], path: Path) -> None:
    """Raise `InputError` unless this is about one picture, and has objects or clearly none."""
    if sum(len(element) > 0 for element in root.iter("annotation")) > 1:
        raise InputError(f"{path}: holds several annotations; VOC has an XML file for each picture")
    tags = {element.tag for element in root.iter()}
    empty = "annotation" in tags and not tags & OTHERS and (len(tags) == 1 or tags & BESIDE)
    if not objects and not empty:
        raise InputError(
            f"{path}: no <object> of Pascal VOC's is here, and there is {listed(sorted(tags), 6)}; "
            "export the annotations as Pascal VOC"
        )
