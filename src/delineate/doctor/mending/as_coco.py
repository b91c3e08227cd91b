"""A mended data set of a layout that is not written becomes COCO."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from delineate.data.files import write_text
from delineate.data.formats.coco.segmentations import box_around
from delineate.data.formats.polygons import area
from delineate.data.images import read_header
from delineate.doctor.looking import stream_of
from delineate.doctor.mending.copying import place
from delineate.doctor.records import Part, Record, Thing


def write(
    part: Part,
    target: Path,
    edits: Mapping[Path, Mapping[int, Thing | None]],
    left_out: Collection[Path],
    renamed: Mapping[Path, str],
    unturned_files: Collection[Path],
    names: Sequence[str],
) -> None:
    """Write a split of a data set with its objects edited, or left out (`None`), and its pictures beside it."""
    ids = {name: number for number, name in enumerate(names, start=1)}
    taken: set[str] = set()
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for record in part.records:
        if record.missing or record.file in left_out:
            continue
        name = _free(renamed.get(record.file, record.file.name), taken)
        taken.add(name)
        height, width = read_header(record.file, stream_of(record)).size if 0 in record.said else record.said
        if 0 in record.said and record.file in unturned_files:  # without EXIF's mark it is as it is stored
            height, width = width, height
        images.append({"id": len(images) + 1, "file_name": name, "height": height, "width": width})
        edited = edits.get(record.source, {})
        things = [edited.get(thing.row, thing) for thing in part.things(record)[0]]
        rows += _rows([thing for thing in things if thing and thing.name in ids], len(images), len(rows), ids)
        _write_picture(record, target / "images" / part.split / name, unturned_files)
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    document = {"images": images, "annotations": rows, "categories": categories}
    write_text(target / "annotations" / f"instances_{part.split}.json", json.dumps(document))


def _rows(things: Iterable[Thing], image_id: int, num_before: int, ids: Mapping[str, int]) -> list[Any]:
    """Write the objects of a picture as COCO has them, its crowds aside, which these layouts have not."""
    rows: list[Any] = []
    for thing in things:
        x1, y1, x2, y2 = thing.box or (0, 0, 0, 0)
        row: dict[str, Any] = {"id": num_before + len(rows) + 1, "image_id": image_id, "category_id": ids[thing.name]}
        row |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
        if box_around(thing.shape):
            row["segmentation"] = thing.shape
        if not isinstance(thing.shape, dict):
            row["area"] = sum(map(area, thing.shape)) if thing.shape else (x2 - x1) * (y2 - y1)
        rows.append(row)
    return rows


def _free(name: str, taken: Collection[str]) -> str:
    """Give a name that no other picture of the split has, as several folders may be one split."""
    path, number = Path(name), 1
    while name in taken:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    return name


def _write_picture(record: Record, target: Path, unturned_files: Collection[Path]) -> None:
    if record.held is None:
        place(record.file, target, unturned_files)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(record.held())
