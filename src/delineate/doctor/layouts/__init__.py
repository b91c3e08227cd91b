"""Each layout is read into records here, in a module of its name; those of tools that draw shapes in one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from delineate.data.formats import FORMATS
from delineate.data.lists import dividing
from delineate.doctor.layouts import coco, drawn, mask_folder, voc, yolo
from delineate.doctor.records import Part

LAYOUTS: Mapping[str, Callable[[Path], Iterator[Part]]] = {
    "coco": coco.parts,
    "voc": voc.parts,
    "yolo": yolo.parts,
    "mask_folder": mask_folder.parts,
    **{layout: partial(drawn.parts, layout=layout) for layout in drawn.DRAWN},
}


def parts_of(root: Path, layout: str) -> Iterator[Part]:
    """Read the records of each split; lists that divide one (`data/lists.py`) make splits of it."""
    lists = dividing(root, FORMATS[layout].splits(root))
    for part in LAYOUTS[layout](root):
        mine = {name: found for name, found in lists.items() if found.divides == part.split}
        if not mine:
            yield part
        for name, found in mine.items():
            rows = found.rows([record.file for record in part.records])
            yield replace(part, split=name, records=[replace(part.records[row], split=name) for row in rows])


def without_unions(parts: list[Part]) -> list[Part]:
    """Leave out splits that are others together, as `trainval` is: each picture is looked at once."""
    files = [frozenset(record.file for record in part.records) for part in parts]
    unions = [
        any(other < mine for other in files) and mine <= frozenset().union(*(other for other in files if other != mine))
        for mine in files
    ]
    return [part for part, is_union in zip(parts, unions, strict=True) if not is_union]
