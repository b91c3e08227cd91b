"""The inside of a COCO JSON file is checked: three lists of entries, each with an id, which refer to one another."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from delineate.data.files import read_json
from delineate.data.formats.coco.rows import Document, Row, named, places
from delineate.data.numbers import identifiers
from delineate.values import InputError

FIELDS = ("images", "annotations", "categories")
IDS = {
    "images": ("image", ("id",)),
    "annotations": ("annotation", ("id", "image_id", "category_id")),
    "categories": ("category", ("id",)),
}
"""Entries of a list are called so, and have ids in these fields."""
SEVERAL = "{}: its keypoints are those of ids that several objects have; give each its own"


def load(path: Path) -> Document:
    """Load the lists `images`, `annotations` and `categories` of a file, each entry with an id of its own.

    Ids are whole numbers or texts: "1" is 1. Raises `InputError` naming the file and the entry.
    """
    document = read_json(path)
    for field in FIELDS:
        rows = document.get(field) if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise InputError(f"{path}: there is no list {field!r}, so this is no COCO file of objects")
        check_entries(rows, field, path)
    for field in FIELDS:
        read_ids(document[field], field, path)
    return named_once({field: document[field] for field in FIELDS}, path)


def check_entries(rows: Sequence[Any], field: str, path: Path, first: int = 0) -> None:
    """Raise `InputError` for an entry that has no id; the first one is number `first` of the list."""
    for position, row in enumerate(rows, start=first):
        if not isinstance(row, dict) or row.get("id") is None:
            raise InputError(f"{path}: {field}: entry {position} has no 'id'")


def read_ids(rows: Sequence[Row], field: str, path: Path) -> None:
    """Make one id of the several ways of writing it, in each of an entry's fields that has one."""
    noun, names = IDS[field]
    for name in names:
        written = [row.get(name) for row in rows]
        read = identifiers(written, places(rows, name, path, noun))
        if read is not written:
            for row, value in zip(rows, read, strict=True):
                row[name] = value


def named_once(document: Document, path: Path) -> Document:
    """Check names, and keep one of the entries of pictures and categories that say the same."""
    for image in document["images"]:
        image["file_name"] = _picture_name(image, path)
    return {
        "images": _once(document["images"], "images", "file_name", path),
        "annotations": document["annotations"],
        "categories": _once(document["categories"], "categories", "name", path),
    }


def merge_pictures(document: Document, path: Path) -> list[str]:
    """Make one entry of those that name the same file, as some tools write one for every object; say so in a line."""
    others, problems = one_of_each(document, path)
    for row in document["annotations"] if others else ():
        row["image_id"] = others.get(row["image_id"], row["image_id"])
    return problems


def one_of_each(document: Document, path: Path) -> tuple[dict[Any, Any], list[str]]:
    """Keep one entry for each picture; gives the ids of the others with those that stand for them, and a line."""
    first: dict[str, Row] = {}
    others: dict[Any, Any] = {}
    for image in document["images"]:
        kept = first.setdefault(image["file_name"], image)
        if kept is not image:
            others[image["id"]] = kept["id"]
    if not others:
        return {}, []
    document["images"] = list(first.values())
    return others, [
        f"{path}: {len(others)} entries in 'images' name a picture that has one already; the {len(first)} pictures "
        "have the objects of all their entries"
    ]


def add_keypoints(document: Document, path: Path) -> list[str]:
    """Add another file's keypoints to the annotations and categories of the same id; gives the problems."""
    other = load(path)
    annotations: dict[Any, Row] = {}
    several = {row["id"] for row in document["annotations"] if annotations.setdefault(row["id"], row) is not row}
    if not several.isdisjoint(row["id"] for row in other["annotations"]):
        raise InputError(SEVERAL.format(path))
    unknown = []
    for row in other["annotations"]:
        if row["id"] not in annotations:
            unknown.append(row["id"])
        elif "keypoints" in row:
            annotations[row["id"]]["keypoints"] = row["keypoints"]
    add_bodies(document, other["categories"])
    return [f"{path}: left out {named(unknown)}: no object has their id"] if unknown else []


def add_bodies(document: Document, categories: Iterable[Row]) -> None:
    """Add what other categories of the same id say of keypoints."""
    bodies = {row["id"]: row for row in categories}
    for category in document["categories"]:
        body = bodies.get(category["id"], {})
        category.update((key, body[key]) for key in ("keypoints", "skeleton", "flip_order") if key in body)


def _picture_name(image: Row, path: Path) -> str:
    name = image.get("file_name")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{path}: image {image['id']}: file_name: {name!r:.80} is no name of a picture")
    return name.replace("\\", "/").removeprefix("./")


def _once(rows: Iterable[Row], field: str, name: str, path: Path) -> list[Row]:
    """Keep one of the entries that have the same id and name; raises `InputError` where others share an id."""
    kept: dict[Any, Row] = {}
    for row in rows:
        first = kept.setdefault(row["id"], row)
        if first is not row and first.get(name) != row.get(name):
            raise InputError(f"{path}: {field}: several have the id {row['id']}; give each its own")
    return list(kept.values())
