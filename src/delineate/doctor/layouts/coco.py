"""COCO: entries of the JSON are records as they stand there, and mended entry by entry."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from delineate.data.files import read_json
from delineate.data.formats.coco.bodies import read_body
from delineate.data.formats.coco.categories import in_use
from delineate.data.formats.coco.document import add_keypoints, load, merge_pictures
from delineate.data.formats.coco.files import KINDS, sources
from delineate.data.formats.coco.pictures import pictures
from delineate.data.formats.coco.rows import Document, Row
from delineate.data.formats.coco.segmentations import box_around, read_segmentations
from delineate.data.numbers import flag, numbers, whole
from delineate.doctor.records import Hit, Part, Record, Thing
from delineate.doctor.words import kinds_of
from delineate.values import Categories, InputError

__all__ = ["Edits", "in_order", "mended", "parts", "sources", "without"]

Edits = Mapping[int, Thing | None]


def parts(root: Path) -> Iterator[Part]:
    """Read the entries of each split; raises `InputError` where a file is no COCO's."""
    found = sources(root)
    for split in sorted(found):
        source, *others = in_order(found[split])
        document = load(source)
        for other in others:
            add_keypoints(document, other)
        merge_pictures(document, source)
        yield _part(root, split, source, document, found)


def _part(root: Path, split: str, source: Path, document: Document, found: Any) -> Part:
    images, rows = document["images"], document["annotations"]
    files, _, lost = pictures(root, split, images, source, found)
    categories, _ = in_use(document["categories"], rows, source)
    names = {category["id"]: str(category.get("name") or category["id"]) for category in categories}
    of_picture: dict[Any, list[tuple[int, Row]]] = defaultdict(list)
    for place, row in enumerate(rows):
        of_picture[row["image_id"]].append((place, row))
    body = Categories(class_names=())
    with suppress(InputError):  # the reader says it
        read, _ = read_body(categories, rows, source)
        body = Categories(class_names=(), keypoint_names=read.keypoint_names, flip_order=read.flip_order)
    known = {image["id"] for image in images}
    hits = [
        Hit("annotation-without-picture", f"annotation {row['id']} of {source.name}", f"image_id {row['image_id']}")
        for row in rows
        if row["image_id"] not in known
    ]
    records = [
        Record(
            split=split,
            file=file,
            source=source,
            written=image["file_name"],
            said=_said(image),
            rows=of_picture.get(image["id"], ()),
            missing=lost.get(place, ""),
        )
        for place, (image, file) in enumerate(zip(images, files, strict=True))
    ]

    def things(record: Record) -> tuple[list[Thing], list[Hit]]:
        read: list[Thing] = []
        said: list[Hit] = []
        for place, row in record.rows:
            where = f"annotation {row['id']}"
            try:
                read.append(_thing(row, place, where, names, said))
            except InputError as error:
                kind = next(iter(kinds_of(str(error))), "broken-row")
                detail = str(row["category_id"]) if kind == "unknown-category" else str(error)
                said.append(Hit(kind, where, detail, (place,)))
        return read, said

    return Part(
        split=split,
        records=records,
        things=things,
        names=tuple(names.values()),
        ids={name: identifier for identifier, name in names.items()},
        keypoint_names=body.keypoint_names,
        flip_order=body.flip_order,
        hits=hits,
    )


def _said(image: Row) -> tuple[int, int]:
    try:
        height, width = (whole(image.get(side) or 0, side) for side in ("height", "width"))
    except InputError:
        return 0, 0
    return height, width


def _thing(row: Row, place: int, where: str, names: Mapping[Any, str], said: list[Hit]) -> Thing:
    """Read an entry; raises `InputError` for what leaves nothing of it, adds what costs its mask to `said`."""
    if row["category_id"] not in names:
        raise InputError(f"{where}: category_id: {row['category_id']!r} is no id of this file")
    shape = _shape(row, place, where, said)
    box = row.get("bbox")
    if box:
        x, y, width, height = numbers(box, f"{where}: bbox", 4)
    elif (around := box_around(shape)) is not None:
        x, y, width, height = around
    else:
        numbers(box, f"{where}: bbox", 4)
    if any(isinstance(value, str) for value in (*(box or ()), row.get("area"), row.get("iscrowd"), row.get("ignore"))):
        said.append(Hit("number-as-text", where, "", (place,)))
    values = numbers(row.get("keypoints") or [], f"{where}: keypoints")
    if len(values) % 3:
        raise InputError(f"{where}: keypoints: {len(values)} numbers, but its category names others")
    return Thing(
        row=place,
        place=where,
        name=names[row["category_id"]],
        box=(x, y, x + width, y + height),
        shape=shape,
        keypoints=tuple(zip(values[0::3], values[1::3], values[2::3], strict=True)),
        crowd=flag(row.get("iscrowd"), f"{where}: iscrowd"),
        difficult=flag(row.get("ignore"), f"{where}: ignore"),
    )


def _shape(row: Row, place: int, where: str, said: list[Hit]) -> Any:
    try:
        return read_segmentations([row.get("segmentation")], lambda _: f"{where}: segmentation")[0]
    except InputError as error:
        kind = next(iter(kinds_of(str(error))), "broken-mask")
        said.append(Hit("broken-mask" if kind == "rle-size" else kind, where, str(error), (place,)))
        return None


def in_order(kinds: Mapping[str, Path]) -> list[Path]:
    """List the files of a split, the one with the objects first."""
    return [kinds[kind] for kind in KINDS if kind in kinds]


def without(source: Path, edits: Edits) -> Callable[[Path], Edits]:
    """Leave out of another file of the split the objects that are left out of this one, by their ids."""
    rows = load(source)["annotations"] if None in edits.values() else []
    gone = {rows[place]["id"] for place, thing in edits.items() if thing is None}
    return lambda path: (
        {place: None for place, row in enumerate(load(path)["annotations"]) if row["id"] in gone} if gone else {}
    )


def mended(source: Path, edits: Edits, pictures: Mapping[str, str | None], names: Mapping[str, str]) -> dict[str, Any]:
    """Give the document of the file `source` with its entries edited, and its `pictures` renamed or left out (`None`).

    `names` of categories are replaced by others of the file.
    """
    whole_file: dict[str, Any] = read_json(source)
    document = load(source)  # its ids are those that entries were read by
    left_out = {image["id"] for image in document["images"] if pictures.get(image["file_name"], "") is None}
    for raw, image in zip(whole_file["images"], document["images"], strict=False):
        if raw.get("id") == image["id"] and pictures.get(image["file_name"]):
            raw["file_name"] = pictures[image["file_name"]]
    whole_file["images"] = [image for image in whole_file["images"] if _identifier(image["id"]) not in left_out]
    known = {_identifier(image["id"]) for image in whole_file["images"]}
    ids = {str(category.get("name")): category["id"] for category in document["categories"]}
    rows = []
    for place, row in enumerate(whole_file["annotations"]):
        edit = edits.get(place, row)
        if edit is not None and _identifier(row["image_id"]) in known:
            rows.append(row if edit is row else _edited(row, edit, ids, names))
    whole_file["annotations"] = rows
    whole_file["categories"] = [row for row in whole_file["categories"] if row.get("name") not in names]
    return whole_file


def _identifier(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value


def _edited(row: Row, thing: Thing, ids: Mapping[str, Any], names: Mapping[str, str]) -> Row:
    """Write what was read of an entry, with numbers as numbers."""
    edited = dict(row)
    if thing.box is not None:
        x1, y1, x2, y2 = thing.box
        edited["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    if "segmentation" in row:
        edited["segmentation"] = thing.shape if thing.shape is not None else []
    if thing.keypoints:
        edited["keypoints"] = [value for keypoint in thing.keypoints for value in keypoint]
        if "num_keypoints" in row:
            edited["num_keypoints"] = sum(keypoint[2] > 0 for keypoint in thing.keypoints)
    for field, value in (("iscrowd", thing.crowd), ("ignore", thing.difficult)):
        if field in row:
            edited[field] = int(value)
    if isinstance(row.get("area"), str):
        edited["area"] = float(row["area"])
    if thing.name in ids:
        edited["category_id"] = ids[thing.name]
    return edited
