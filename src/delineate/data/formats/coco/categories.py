"""The categories of a COCO file become classes, in the order of their ids."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from delineate.data.formats.coco.bodies import read_body
from delineate.data.formats.coco.rows import Row
from delineate.data.formats.label_values import is_background
from delineate.values import IGNORE, Categories, InputError, listed
from delineate.values.categories import BACKGROUND


def in_use(categories: Sequence[Row], annotations: Sequence[Row], source: Path) -> tuple[list[Row], list[str]]:
    """Sort categories by id, without those that have no object and are no classes; lines say which these are.

    They are one that only groups the others, as Roboflow writes it, and a background.
    """
    rows = sorted(categories, key=lambda category: (isinstance(category["id"], str), category["id"]))
    problems = []
    for row in rows.copy():
        reason = _no_class(row, rows)
        if reason and all(annotation["category_id"] != row["id"] for annotation in annotations):
            rows.remove(row)
            problems.append(f"{source}: left out the category {row['name']!r}, which has no object and {reason}")
    return rows, problems


def _no_class(category: Row, rows: Sequence[Row]) -> str:
    """Say why a category among others is no class, if it is none."""
    name = category.get("name")
    if not isinstance(name, str) or len(rows) == 1:
        return ""
    if all((row.get("supercategory") == name) != (row is category) for row in rows):
        return "groups the others"
    return "is what label maps have of their own" if is_background(name) else ""


def read_categories(
    categories: Sequence[Row], rows: Iterable[Row], source: Path, *, has_masks: bool
) -> tuple[Categories, list[str]]:
    """Name the classes and keypoints; the lines say what was guessed.

    A category called background that has objects is the background of label maps, too.
    """
    names = tuple(_name(category, source) for category in categories)
    body, problems = read_body(categories, rows, source)
    nameless = [category["id"] for category in categories if category.get("name") in (None, "")]
    if nameless:
        problems.append(f"{source}: categories without a name are called by their ids ({listed(nameless)})")
    # 255 is a label map's ignore, so that more classes than that have none.
    label_map_names = (*names, BACKGROUND) if has_masks and len(names) < IGNORE else ()
    if label_map_names and BACKGROUND in names:
        label_map_names = names
        problems.append(f"{source}: in label maps, what no object covers is of the category {BACKGROUND!r}")
    try:
        read = Categories(
            class_names=names,
            label_map_names=label_map_names,
            keypoint_names=body.keypoint_names,
            skeleton=body.skeleton,
            flip_order=body.flip_order,
        )
    except InputError as error:
        raise InputError(f"{source}: categories: {error}") from None
    if len(read.keypoint_names) > 1 and read.flip_order == tuple(range(len(read.keypoint_names))):
        problems.append(
            f"{source}: no keypoint's name says left or right, so that mirrored pictures exchange none; call them as "
            "in left_eye and right_eye"
        )
    return read, problems


def _name(category: Row, source: Path) -> str:
    name = category.get("name")
    if isinstance(name, list | dict | bool):
        raise InputError(f"{source}: category {category['id']}: name: {name!r:.80} is no name")
    return str(category["id"] if name in (None, "") else name).strip()
