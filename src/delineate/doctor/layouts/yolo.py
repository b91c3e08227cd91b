"""YOLO: lines of label files are records as they stand there, and mended line by line."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from delineate.data.files import read_text
from delineate.data.folders import home_of
from delineate.data.formats.yolo.description import Description, describe
from delineate.data.formats.yolo.files import find_pictures, label_files_of
from delineate.data.formats.yolo.keypoints import KptShape
from delineate.data.formats.yolo.labels import read_line, rows_of
from delineate.doctor.records import Hit, Part, Record, Thing
from delineate.doctor.words import kinds_of
from delineate.values import InputError

BESIDE = 2.0
"""A share of the picture that is no more is out of it, and what is more is pixels."""


def parts(root: Path) -> Iterator[Part]:
    """Find the pictures of each split and their label files."""
    said = describe(root)
    for split, entries in said.entries.items():
        files, _ = find_pictures(said.source, said.bases, entries)
        sources = label_files_of(files)
        records = [
            Record(split=split, file=file, source=source, written=file.name)
            for file, source in zip(files, sources, strict=True)
        ]
        homes = (home_of(root), *said.bases)
        outside = [file for file in files if all(os.path.relpath(file, home).startswith("..") for home in homes)]
        hits = [Hit("outside-folder", file.name, str(file)) for file in outside]
        yield _part(split, records, said, hits)


def _part(split: str, records: Sequence[Record], said: Description, hits: Sequence[Hit]) -> Part:
    categories = said.categories

    def things(record: Record) -> tuple[list[Thing], list[Hit]]:
        return _things(record, said)

    return Part(
        split=split,
        records=records,
        things=things,
        names=categories.class_names,
        ids={name: number for number, name in enumerate(categories.class_names)},
        keypoint_names=categories.keypoint_names,
        flip_order=categories.flip_order,
        hits=hits,
        in_shares=True,
    )


def _things(record: Record, said: Description) -> tuple[list[Thing], list[Hit]]:
    read: list[Thing] = []
    hits: list[Hit] = []
    names = said.categories.class_names
    try:
        rows = list(rows_of(record.source))
    except InputError as error:
        return read, [Hit("broken-annotation", record.source.name, str(error))]
    for number, words in rows:
        where = f"line {number}"
        try:
            line = read_line(words, number, names, said.kpt_shape)
        except InputError as error:
            kind = next(iter(kinds_of(str(error))), "broken-row")
            detail = words[0] if kind == "unknown-category" else str(error)
            has_all = said.kpt_shape is not None or len(words) == 5
            if kind not in ("not-normalised", "visibility") or not has_all:
                hits.append(Hit(kind, where, detail, (number,)))
                continue
            thing = _as_written(words, number, names, said.kpt_shape)
            if not thing.relative:
                hits.append(Hit("not-normalised", where, " ".join(words)[:60], (number,)))
            read.append(thing)  # the checks of objects and bodies find what else is wrong
            continue
        poses = () if said.kpt_shape is None else _poses(line.values[4:], said.kpt_shape[1])
        read.append(
            Thing(
                row=number,
                place=f"{where} ({names[line.label]})",
                name=names[line.label],
                box=line.box,
                shape=[list(line.values)] if line.is_polygon else None,
                keypoints=poses,
                relative=True,
            )
        )
    return read, hits


def _as_written(words: Sequence[str], number: int, names: Sequence[str], kpt_shape: KptShape | None) -> Thing:
    """Take the numbers of a box, or of a pose, as they are: as pixels, or where the box's are small, as shares.

    Such a box lies out of the picture, or a visibility is none.
    """
    label, x, y, w, h, *values = (float(word) for word in words)
    name = names[int(label)]
    return Thing(
        row=number,
        place=f"line {number} ({name})",
        name=name,
        box=(x - w / 2, y - h / 2, x + w / 2, y + h / 2),
        keypoints=() if kpt_shape is None else _poses(values, kpt_shape[1]),
        relative=max(map(abs, (x, y, w, h))) <= BESIDE,
    )


def _poses(values: Sequence[float], dims: int) -> tuple[tuple[float, float, float], ...]:
    rows = [values[start : start + dims] for start in range(0, len(values), dims)]
    return tuple((row[0], row[1], row[2] if dims == 3 else 2.0 * any(row)) for row in rows)


def mended(labels: Path, edits: Mapping[int, Thing | None], size: tuple[int, int]) -> bytes:
    """Write a label file with its lines edited, or left out (`None`); things are in pixels of a `(height, width)`."""
    lines = []
    for number, line in enumerate(read_text(labels).splitlines(), start=1):
        thing = edits.get(number)
        if number not in edits:
            lines.append(line)
        elif thing is not None:
            lines.append(_line(line.split(), thing, size))
    return "".join(f"{line}\n" for line in lines).encode()


def _line(words: Sequence[str], thing: Thing, size: tuple[int, int]) -> str:
    """Write the numbers of a box and its keypoints, or the corners of a polygon, in 0..1; a score stays."""
    height, width = size
    scaled = thing.scaled(1 / width, 1 / height)
    if scaled.shape:
        values, rest = scaled.shape[0], []
    else:
        assert scaled.box is not None, "a line has a box"
        x1, y1, x2, y2 = scaled.box
        values, rest = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], list(words[5:])
        if scaled.keypoints:
            dims = len(rest) // len(scaled.keypoints)
            rest = [f"{value:.6g}" for keypoint in scaled.keypoints for value in keypoint[:dims]]
    return " ".join([words[0], *(f"{value:.6f}" for value in values), *rest])
