"""VIA, the VGG Image Annotator: a project or its export of annotations as JSON, beside the pictures (Dutta 2016)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from delineate.data.dataset import EVERYTHING
from delineate.data.files import read_json
from delineate.data.folders import home_of
from delineate.data.formats.coco import Coco
from delineate.data.formats.drawn.dataset import dataset
from delineate.data.formats.drawn.files import annotation_files, has_annotations
from delineate.data.formats.drawn.shapes import Drawing, Shape, ellipse, remarks_of_swapped
from delineate.data.formats.split_names import split_of_list
from delineate.data.numbers import number, numbers
from delineate.values import Content, InputError, listed

THE_CLASS = "class"
"""Of several attributes, the one of this name is the class."""

ONLY_CLASS = "object"
"""Where regions have no attribute, all are of this class."""

Entry = Mapping[str, Any]


def recognises(root: Path) -> bool:
    """Tell whether there is a JSON file with VIA's regions."""
    return has_annotations(root, "via", ".json")


def splits(root: Path) -> list[str]:
    """List what the files' folders or names say of their splits, such as `train/via_region_data.json`; else `all`."""
    return sorted(_by_split(root))


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Coco:
    """Read one split; the classes are all values that the regions' one attribute has in any split, sorted.

    Raises `InputError` naming the file and the region, and where several attributes may be the class.
    """
    sources = _by_split(root)
    entries = {source: _entries(source) for source in sources.values()}
    attribute = _class_attribute(entries, root)
    made = dataset(root, split, needs, _drawings(sources, entries, attribute))
    if not attribute:
        said = f"{root}: regions have no attribute that names a class; all are of the class '{ONLY_CLASS}'"
        made.problems = [*made.problems, said]
    return made


def drawn(root: Path) -> tuple[list[Drawing], list[str]]:
    """Read what is drawn on the pictures of all splits; VIA has no list of classes."""
    sources = _by_split(root)
    entries = {source: _entries(source) for source in sources.values()}
    return _drawings(sources, entries, _class_attribute(entries, root)), []


def _drawings(sources: Mapping[str, Path], entries: Mapping[Path, Sequence[Entry]], attribute: str) -> list[Drawing]:
    return [_drawing(entry, source, name, attribute) for name, source in sources.items() for entry in entries[source]]


def _by_split(root: Path) -> dict[str, Path]:
    by_split: dict[str, Path] = {}
    for path in annotation_files(root, "via", ".json"):
        split = split_of_list(path.relative_to(home_of(root)))
        other = by_split.setdefault(split, path)
        if other is not path:
            raise InputError(f"{path}: {other} has annotations of the split '{split}', too; keep one of them")
    return by_split


def _entries(path: Path) -> list[Entry]:
    """Read the entries, one a picture, of a project or an export."""
    document = read_json(path)
    if isinstance(document, dict):
        document = document.get("_via_img_metadata", document)
    entries = list(document.values()) if isinstance(document, dict) else document
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "filename" in entry for entry in entries):
        raise InputError(f"{path}: its entries, one a picture, have no 'filename'; export annotations as JSON again")
    return entries


def _regions(entry: Entry, where: str) -> list[tuple[Entry, Entry]]:
    """Take shape and attributes of each region; version 1 numbers regions, later ones list them."""
    regions = entry.get("regions") or []
    every = list(regions.values()) if isinstance(regions, dict) else regions
    try:
        return [(dict(region["shape_attributes"]), dict(region.get("region_attributes") or {})) for region in every]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise InputError(f"{where}: regions: these are no regions of VIA, with 'shape_attributes'") from None


def _class_attribute(entries: Mapping[Path, Sequence[Entry]], root: Path) -> str:
    """Find the regions' one attribute that has values, or "class" of several, or nothing.

    Raises `InputError` that names the attributes where that is not known.
    """
    names: dict[str, None] = {}
    for source, entry in ((source, entry) for source, several in entries.items() for entry in several):
        for _, attributes in _regions(entry, f"{source}: {entry['filename']}"):
            names |= {name: None for name, value in attributes.items() if _value(value)}
    if len(names) > 1 and THE_CLASS not in names:
        raise InputError(
            f"{root}: regions have the attributes {listed(names, 8)}; which is the class? Name that one "
            f"'{THE_CLASS}' in VIA, or delete the others"
        )
    return THE_CLASS if THE_CLASS in names else next(iter(names), "")


def _value(value: Any) -> str:
    """Read a text, a choice, or the boxes that are ticked."""
    if isinstance(value, dict):
        return ", ".join(str(name) for name, ticked in value.items() if ticked)
    return "" if value is None else str(value).strip()


def _drawing(entry: Entry, source: Path, split: str, attribute: str) -> Drawing:
    picture = str(entry["filename"])
    remarks: dict[str, list[str]] = defaultdict(list)
    shapes: list[Shape] = []
    broken: list[InputError] = []
    for place, (shape, attributes) in enumerate(_regions(entry, f"{source}: {picture}"), start=1):
        where = f"{picture}: region {place}"
        name = _value(attributes.get(attribute)) if attribute else ONLY_CLASS
        if shape.get("name") in ("point", "polyline"):
            remarks["left out points and lines, which have no area"].append(where)
        elif not name:
            remarks[f"left out regions without a value of '{attribute}'"].append(where)
        else:
            try:
                shapes.append(Shape(name=name, where=where, **_outline(shape, f"{source}: {where}")))
            except InputError as error:
                broken.append(error)
                continue
            remarks_of_swapped(shapes[-1], remarks)
    return Drawing(
        source=source,
        split=split,
        names=[picture],
        image_size=None,
        shapes=shapes,
        remarks=remarks,
        broken=broken,
    )


def _outline(shape: Entry, where: str) -> dict[str, Any]:
    """Read what a region covers, as the fields of `Shape`."""

    def value(*names: str) -> list[float]:
        return [number(shape.get(name), f"{where}: {name}") for name in names]

    match shape.get("name"):
        case "rect":
            x, y, width, height = value("x", "y", "width", "height")
            swapped = width < 0 or height < 0
            return {"corners": [x, y, x + width, y + height], "is_box": True, "swapped": swapped}
        case "circle":
            x, y, radius = value("cx", "cy", "r")
            return {"corners": ellipse(x, y, (radius, radius))}
        case "ellipse":
            x, y, *radii = value("cx", "cy", "rx", "ry")
            angle = number(shape.get("theta") or 0, f"{where}: theta")
            return {"corners": ellipse(x, y, (radii[0], radii[1]), angle)}
        case "polygon":
            xs, ys = (numbers(shape.get(name), f"{where}: {name}") for name in ("all_points_x", "all_points_y"))
            if len(xs) != len(ys) or len(xs) < 3:
                raise InputError(f"{where}: {len(xs)} all_points_x and {len(ys)} all_points_y are no polygon")
            return {"corners": [part for point in zip(xs, ys, strict=True) for part in point]}
        case other:
            raise InputError(f"{where}: shape {other!r} is not known; draw a polygon, rect, circle or ellipse")
