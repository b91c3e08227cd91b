"""What is wrong with a COCO file as a whole is mended in its document: entries of one picture, ids, and skeletons."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from delineate.data.formats.coco.categories import in_use
from delineate.data.formats.coco.document import one_of_each


class Mended(NamedTuple):
    """Something of a document was changed at a place, for a kind of finding."""

    place: str
    kind: str
    before: str
    after: str


def merge_entries(document: dict[str, Any]) -> Iterator[Mended]:
    """Keep the first entry of each picture, with the objects of all of them."""
    names = {image["id"]: image["file_name"] for image in document["images"]}
    others, _ = one_of_each(document, Path())
    for row in document["annotations"]:
        row["image_id"] = others.get(row["image_id"], row["image_id"])
    for other, kept in others.items():
        yield Mended(f"image {other}", "picture-twice", names[other], f"image {kept}")


def give_own_ids(document: dict[str, Any]) -> Iterator[Mended]:
    """Give the annotations with the id of an earlier one numbers that nothing has; texts stay as they are."""
    rows = document["annotations"]
    if not all(isinstance(row["id"], int) for row in rows):
        return
    seen: set[int] = set()
    last = max((row["id"] for row in rows), default=0)
    for row in rows:
        if row["id"] in seen:
            last += 1
            yield Mended(f"annotation {row['id']}", "same-ids", str(row["id"]), str(last))
            row["id"] = last
        seen.add(row["id"])


def leave_out_unused(document: dict[str, Any]) -> Iterator[Mended]:
    """Leave out the categories that are no classes and have no object, as the reader does."""
    kept, _ = in_use(document["categories"], document["annotations"], Path())
    ids = {category["id"] for category in kept}
    for category in document["categories"]:
        if category["id"] not in ids:
            yield Mended(f"category {category['id']}", "unused-category", str(category.get("name")), "left out")
    document["categories"] = [category for category in document["categories"] if category["id"] in ids]


def count_from_1(document: dict[str, Any]) -> Iterator[Mended]:
    """Add 1 to the numbers of a skeleton that begins with 0."""
    for category in document["categories"]:
        edges = category.get("skeleton") or []
        numbers = list(chain.from_iterable(edges)) if all(isinstance(edge, list) for edge in edges) else []
        if numbers and all(isinstance(number, int) for number in numbers) and min(numbers) == 0:
            category["skeleton"] = [[number + 1 for number in edge] for edge in edges]
            yield Mended(f"category {category['id']}", "skeleton-from-0", str(edges), str(category["skeleton"]))
