"""Data sets that are read and not written: the objects are those that the reader gives."""

from collections.abc import Iterator
from pathlib import Path

from delineate.data.dataset import OBJECTS
from delineate.data.formats import read_dataset, splits
from delineate.doctor.records import Hit, Part, Record, Thing
from delineate.doctor.words import kinds_of
from delineate.values import InputError


def parts(root: Path, format: str | None) -> Iterator[Part]:  # noqa: A002
    """Read each split as any other reader of it does."""
    for split in splits(root, format, divided=False):
        yield _part(root, split, format)


def _part(root: Path, split: str, format: str | None) -> Part:  # noqa: A002
    dataset = read_dataset(root, split, format, OBJECTS, divided=False)
    names = dataset.categories.class_names
    rows = {str(file): index for index, file in enumerate(dataset.files)}
    records = [
        Record(split=split, file=file, source=dataset.annotation_file(index), written=file.name)
        for index, file in enumerate(dataset.files)
    ]

    def things(record: Record) -> tuple[list[Thing], list[Hit]]:
        index = rows[str(record.file)]
        try:
            target = dataset.target(index, dataset.size(index))
        except InputError as error:
            kind = next(iter(kinds_of(str(error))), "broken-annotation")
            return [], [Hit(kind, record.source.name, str(error))]
        return [
            Thing(row=row, place=f"object {row + 1} ({names[label]})", name=names[label], box=tuple(box))
            for row, (label, box) in enumerate(zip(target.labels.tolist(), target.boxes.tolist(), strict=True))
        ], []

    return Part(split=split, records=records, things=things, names=names)
