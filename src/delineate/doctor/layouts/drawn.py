"""LabelMe, VIA and CVAT: what is drawn on a picture is its record, and what is broken of it is found shape by shape."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from delineate.data.folders import home_of
from delineate.data.formats.drawn import cvat, labelme, via
from delineate.data.formats.drawn.dataset import file_of, objects_of, row_of, written_name
from delineate.data.formats.drawn.files import Pictures
from delineate.data.formats.drawn.shapes import Drawing, Shape
from delineate.doctor.records import Hit, Part, Record, Thing
from delineate.doctor.words import kinds_of
from delineate.values import InputError

DRAWN: Mapping[str, Callable[[Path], tuple[list[Drawing], list[str]]]] = {
    "labelme": labelme.drawn,
    "via": via.drawn,
    "cvat": cvat.drawn,
}


class Row(NamedTuple):
    """An object has a number of its own among all of the data set, and shapes, or the `error` of reading it."""

    number: int
    source: Path
    parts: Sequence[Shape] = ()
    error: InputError | None = None


def parts(root: Path, layout: str) -> Iterator[Part]:
    """Read what is drawn on the pictures of each split; raises `InputError` where a file of many cannot be read."""
    drawings, listed = DRAWN[layout](root)
    names = tuple(listed) or tuple(sorted({shape.name for drawing in drawings for shape in drawing.shapes}))
    pictures, numbers = Pictures(home_of(root)), count()
    for split in sorted({drawing.split for drawing in drawings}):
        yield _part(split, [one for one in drawings if one.split == split], names, pictures, numbers)


def _part(
    split: str, drawings: Sequence[Drawing], names: tuple[str, ...], pictures: Pictures, numbers: Iterator[int]
) -> Part:
    by_file: dict[Path, list[Drawing]] = defaultdict(list)
    missing: list[Drawing] = []
    hits: list[Hit] = []
    for drawing in drawings:
        try:
            file, name = file_of(drawing, pictures), written_name(drawing)
        except InputError as error:
            hits.append(Hit("same-stem", drawing.source.name, str(error)))
            continue
        if file is None:
            missing.append(drawing)
            continue
        by_file[file].append(drawing)
        if file.name != name and file.name.casefold() == name.casefold():
            hits.append(Hit("other-capitals", name, f"{file.name} is there"))
    records = [_record(split, file, several, numbers, pictures) for file, several in by_file.items()]
    return Part(
        split=split,
        records=[*records, *(_missing(split, drawing) for drawing in missing)],
        things=partial(_things, names=names),
        names=names,
        hits=[*hits, *(_twice(file, several) for file, several in by_file.items() if len(several) > 1)],
    )


def _twice(file: Path, several: Sequence[Drawing]) -> Hit:
    return Hit("picture-twice", file.name, f"annotated {len(several)} times")


def _record(split: str, file: Path, several: Sequence[Drawing], numbers: Iterator[int], pictures: Pictures) -> Record:
    source = several[0].source
    rows = [Row(next(numbers), one.source, error=error) for one in several for error in one.broken]
    rows += [
        Row(next(numbers), source, parts) for parts in objects_of(shape for one in several for shape in one.shapes)
    ]
    return Record(
        split=split,
        file=file,
        source=source,
        written=written_name(several[0]),
        said=next((one.image_size for one in several if one.image_size), (0, 0)),
        rows=rows,
        held=None if file in pictures.there else partial(labelme.held_in, source),
    )


def _missing(split: str, drawing: Drawing) -> Record:
    name = written_name(drawing)
    file = drawing.source.parent / name
    return Record(
        split=split, file=file, source=drawing.source, written=name, rows=(), missing=f"{file}: it is not there"
    )


def _things(record: Record, names: tuple[str, ...]) -> tuple[list[Thing], list[Hit]]:
    read: list[Thing] = []
    said: list[Hit] = []
    for row in record.rows:
        if row.error is not None:
            kind = next(iter(kinds_of(str(row.error))), "broken-row")
            said.append(Hit(kind, row.source.name, str(row.error).removeprefix(f"{row.source}: "), (row.number,)))
            continue
        thing = _thing(row, record)
        if thing.name not in names:
            said.append(Hit("unknown-category", thing.place, thing.name, (row.number,)))
        read.append(thing)
    return read, said


def _thing(row: Row, record: Record) -> Thing:
    entry = row_of(row.parts, record.said)
    x, y, width, height = entry["bbox"]
    return Thing(
        row=row.number,
        place=row.parts[0].where,
        name=row.parts[0].name,
        box=(x, y, x + width, y + height),
        shape=entry.get("segmentation"),
        swapped=any(part.swapped for part in row.parts),
    )
