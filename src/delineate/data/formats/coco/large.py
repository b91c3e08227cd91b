"""A COCO file that memory should not hold as objects of Python is read slice by slice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from delineate.data.formats.coco.document import (
    FIELDS,
    SEVERAL,
    add_bodies,
    check_entries,
    named_once,
    one_of_each,
    read_ids,
)
from delineate.data.formats.coco.flat import read_flat
from delineate.data.formats.coco.pieces import Known, Piece, piece_of, read_piece, whole_numbers
from delineate.data.formats.coco.rows import Document, Row, named
from delineate.data.formats.coco.slices import find_lists
from delineate.values import InputError

KEYPOINTS = '"keypoints"'


class Large:
    """The annotations of a large file, and keypoints of others, are read as often as they are asked for.

    Each time they are as `document.load`, `add_keypoints` and `merge_pictures` make them. Raises `InputError` as these.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lists = path, find_lists(path, (KEYPOINTS,))
        for field in FIELDS:
            if field not in self._lists.spans:
                raise InputError(f"{path}: there is no list {field!r}, so this is no COCO file of objects")
        self.places: dict[Any, int] = {}
        self._others: dict[Any, Any] = {}
        self._added: dict[Path, dict[Any, Row]] = {}
        self._unknown: dict[Path, list[Any]] = {}

    @property
    def has_keypoints(self) -> bool:
        """Tell whether there may be keypoints."""
        return KEYPOINTS in self._lists.words or any(self._added.values())

    def pieces(self, known: Known) -> Iterator[Piece]:
        """Read all annotations; those of a slice that are numbers alone come fast."""
        if self._added:
            yield from (read_piece(rows, known) for rows in self)
            return
        first = 0
        for text in self._lists.texts("annotations"):
            flat = None if self._others else read_flat(text)
            piece = None if flat is None else piece_of(flat, known)
            if piece is None:
                rows = self._checked(self._lists.entries(text), "annotations", first)
                piece = read_piece(self._renumbered(rows), known)
            first += piece.num_rows
            yield piece

    def __iter__(self) -> Iterator[list[Row]]:
        left = {path: dict(added) for path, added in self._added.items()}
        for rows in map(self._renumbered, self.slices("annotations")):
            for path in left:
                for row in rows:
                    self._add(row, path, left[path])
            yield rows
        self._unknown = {path: list(added) for path, added in left.items()}

    def slices(self, field: str) -> Iterator[list[Row]]:
        """Read the entries of a list as they stand in the file, with ids that were read."""
        first = 0
        for rows in self._lists.slices(field):
            yield self._checked(rows, field, first)
            first += len(rows)

    def document(self) -> Document:
        """Load what is in a document beside its annotations."""
        lists = {field: [row for rows in self.slices(field) for row in rows] for field in ("images", "categories")}
        return named_once({**lists, "annotations": []}, self.path)

    def release_pictures(self, document: Document) -> None:
        """Keep of a document's pictures their places, by their ids, alone: half a million take 300 MB.

        Numbers are made anew, as those that were read keep the memory around them from being given back.
        """
        ids = whole_numbers([image["id"] for image in document["images"]])
        document["images"] = []
        self.places = {one: place for place, one in enumerate(ids.tolist() if isinstance(ids, np.ndarray) else ids)}

    def add_keypoints(self, document: Document, path: Path) -> None:
        """Add another file's keypoints to the annotations, and to the document's categories, of the same id."""
        other = Large(path)
        self._added[path] = {
            row["id"]: {"keypoints": row["keypoints"]} if "keypoints" in row else {} for rows in other for row in rows
        }
        add_bodies(document, [row for rows in other.slices("categories") for row in rows])

    def merge_pictures(self, document: Document) -> list[str]:
        """Make one entry of those that name the same file, and say so in a line."""
        self._others, problems = one_of_each(document, self.path)
        return problems

    def left_out(self, path: Path) -> list[str]:
        """Say which keypoints of another file belonged to nothing, after all annotations were read."""
        unknown = self._unknown.get(path)
        return [f"{path}: left out {named(unknown)}: no object has their id"] if unknown else []

    def _checked(self, rows: list[Any], field: str, first: int) -> list[Row]:
        check_entries(rows, field, self.path, first)
        read_ids(rows, field, self.path)
        return rows

    def _renumbered(self, rows: list[Row]) -> list[Row]:
        for row in rows if self._others else ():
            row["image_id"] = self._others.get(row["image_id"], row["image_id"])
        return rows

    def _add(self, row: Row, path: Path, left: dict[Any, Row]) -> None:
        if row["id"] in left:
            row.update(left.pop(row["id"]))
        elif row["id"] in self._added[path]:
            raise InputError(SEVERAL.format(path))
