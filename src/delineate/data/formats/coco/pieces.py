"""Annotations become arrays slice by slice, so that no more than a slice of a large file is ever objects of Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.data.formats.coco.bodies import outside, read_keypoints
from delineate.data.formats.coco.boxes import IN_ORDER, WITHOUT_AREA, corners_of, has_area, read_boxes
from delineate.data.formats.coco.flat import Flat
from delineate.data.formats.coco.rows import Row, Said, places, said_of
from delineate.data.formats.coco.segmentations import read_segmentations
from delineate.data.formats.coco.shapes import Shapes
from delineate.data.numbers import column, flags
from delineate.values import InputError


class Ids:
    """Whole numbers are looked up all at once."""

    def __init__(self, ids: NDArray[np.int64]) -> None:
        self._order = np.argsort(ids, kind="stable").astype(np.int32)
        self._sorted = ids[self._order]

    def places(self, wanted: NDArray[np.int64]) -> NDArray[np.int32] | None:
        """Give the places of ids; `None` where one is none of these."""
        found = np.searchsorted(self._sorted, wanted).clip(max=len(self._sorted) - 1)
        return self._order[found] if len(self._sorted) and (self._sorted[found] == wanted).all() else None


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known before annotations are read: places of pictures and categories by ids, sizes, keypoints' names."""

    pictures: Mapping[Any, int]
    categories: Mapping[Any, int]
    sizes: NDArray[np.float64]
    keypoint_names: Sequence[str]
    source: Path

    @cached_property
    def picture_ids(self) -> Ids | None:
        """Give the ids of pictures where all are whole numbers."""
        return _ids(self.pictures)

    @cached_property
    def category_ids(self) -> Ids | None:
        """Give the ids of categories where all are whole numbers."""
        return _ids(self.categories)


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """Annotations with an area, of a slice or of all, have places of their picture and category, and numbers.

    `num_rows` and `num_ids` count those without area, too. What is `said` is of boxes, `outside` of keypoints.
    """

    picture: NDArray[np.int32]
    category: NDArray[np.int32]
    boxes: NDArray[np.float32]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    areas: NDArray[np.float64]
    keypoints: NDArray[np.float32] | None
    shapes: Shapes
    ids: Any
    all_ids: Any
    said: Sequence[Said]
    outside: Sequence[Said]

    @property
    def num_rows(self) -> int:
        return len(self.all_ids)

    @property
    def num_ids(self) -> int:
        if not isinstance(self.all_ids, np.ndarray):
            return len({*self.all_ids})
        return int(np.count_nonzero(np.diff(np.sort(self.all_ids)))) + (self.num_rows > 0)

    def others(self, row: int) -> Any:
        """Give what tells an annotation from another of the same box: its mask, keypoints and whether it is a crowd."""
        points = None if self.keypoints is None else self.keypoints[row].tolist()
        return self.shapes[row], points, bool(self.crowd[row])


def read_piece(rows: Sequence[Row], known: Known) -> Piece:
    """Read annotations; raises `InputError` naming the file, the annotation and the field."""
    source = known.source
    picture = _positions(rows, "image_id", known.pictures, source)
    category = _positions(rows, "category_id", known.categories, source)
    shapes = read_segmentations([row.get("segmentation") for row in rows], places(rows, "segmentation", source))
    boxes, said = read_boxes(rows, shapes, known.sizes[picture], source)
    has_one = has_area(boxes)
    all_ids = [row["id"] for row in rows]
    said += said_of(all_ids, ~has_one, WITHOUT_AREA)
    if not has_one.all():
        kept = np.flatnonzero(has_one)
        rows, shapes = [rows[row] for row in kept.tolist()], [shapes[row] for row in kept.tolist()]
        picture, category, boxes = picture[kept], category[kept], boxes[kept]
    ids = all_ids if len(rows) == len(all_ids) else [row["id"] for row in rows]
    keypoints, as_array = read_keypoints(rows, known.keypoint_names, source), whole_numbers(ids)
    return Piece(
        picture=picture,
        category=category,
        boxes=boxes,
        crowd=_flags(rows, "iscrowd", source),
        difficult=_flags(rows, "ignore", source),
        areas=_areas(column([row.get("area") or 0 for row in rows], places(rows, "area", source)), boxes),
        keypoints=None if keypoints is None else keypoints.numpy(),
        shapes=Shapes.of(shapes),
        ids=as_array,
        all_ids=as_array if ids is all_ids else whole_numbers(all_ids),
        said=said,
        outside=outside(keypoints, ids, known.sizes[picture]),
    )


def piece_of(flat: Flat, known: Known) -> Piece | None:
    """Make of annotations that are numbers alone what `read_piece` makes; `None` where an id is not known."""
    if known.picture_ids is None or known.category_ids is None:
        return None
    picture, category = known.picture_ids.places(flat.picture_ids), known.category_ids.places(flat.category_ids)
    if picture is None or category is None:
        return None
    boxes, said = corners_of(flat.boxes, flat.ids, known.sizes[picture])
    has_one = has_area(boxes)
    said += said_of(flat.ids, ~has_one, WITHOUT_AREA)
    kept = slice(None) if has_one.all() else np.flatnonzero(has_one)
    ids = flat.ids if has_one.all() else flat.ids[kept]
    own = _apart(ids)
    return Piece(
        picture=_apart(picture[kept]),
        category=_apart(category[kept]),
        boxes=_apart(boxes[kept]),
        crowd=_apart(flat.crowd[kept]),
        difficult=_apart(flat.difficult[kept]),
        areas=_apart(_areas(flat.areas, boxes)[kept]),
        keypoints=None,
        shapes=Shapes.none(len(ids)),
        ids=own,
        all_ids=own if ids is flat.ids else _apart(flat.ids),
        said=said,
        outside=(),
    )


def _apart(array: NDArray[Any]) -> NDArray[Any]:
    """Copy numbers into memory of their own, which is given back when they are; between others it would be kept."""
    if not array.size:
        return array
    copy = np.frombuffer(mmap(-1, array.nbytes), dtype=array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def joined(pieces: list[Piece], num_keypoints: int) -> Piece:
    """Put pieces behind one another; in those that have no keypoints none is annotated, where others have some.

    They are taken out of the list, and joined field by field, so that no more than one field is in memory twice.
    """
    if len(pieces) == 1:
        return pieces.pop()
    are_all = all(piece.ids is piece.all_ids for piece in pieces)
    columns = {field.name: [getattr(piece, field.name) for piece in pieces] for field in fields(Piece)}
    pieces.clear()
    if any(points is not None for points in columns["keypoints"]):
        counts = map(len, columns["picture"])
        columns["keypoints"] = [
            np.zeros((count, num_keypoints, 3), np.float32) if points is None else points
            for count, points in zip(counts, columns["keypoints"], strict=True)
        ]
    else:
        columns["keypoints"] = []
    keypoints, all_ids = columns.pop("keypoints"), columns.pop("all_ids")
    said, outside = columns.pop("said"), columns.pop("outside")
    if are_all:
        all_ids = []
    shapes = Shapes.joined(columns.pop("shapes"))
    whole = {name: _end_to_end(columns.pop(name)) for name in list(columns)}
    return Piece(
        **whole,
        all_ids=whole["ids"] if are_all else _end_to_end(all_ids),
        keypoints=np.concatenate(keypoints) if keypoints else None,
        shapes=shapes,
        said=sorted(chain.from_iterable(said), key=lambda one: IN_ORDER.index(one.text)),
        outside=[*chain.from_iterable(outside)],
    )


def _end_to_end(values: Sequence[Any]) -> Any:
    """Join arrays; where one is a list, all become one."""
    if all(isinstance(value, np.ndarray) for value in values):
        return np.concatenate(values)
    return [one for value in values for one in (value.tolist() if isinstance(value, np.ndarray) else value)]


def _ids(places: Mapping[Any, int]) -> Ids | None:
    """Take ids that are in the order of their places."""
    ids = whole_numbers(list(places))
    return Ids(ids) if isinstance(ids, np.ndarray) else None


def whole_numbers(ids: list[Any]) -> Any:
    """Make whole numbers an array; texts, and numbers that are too large for one, stay a list."""
    if set(map(type, ids)) <= {int}:
        try:
            return np.array(ids, dtype=np.int64)
        except OverflowError:
            pass
    return ids


def _positions(rows: Sequence[Row], field: str, positions: Mapping[Any, int], source: Path) -> NDArray[np.int32]:
    try:
        return np.array([positions[row[field]] for row in rows], dtype=np.int32)
    except KeyError:
        bad = next(row for row, entry in enumerate(rows) if entry.get(field) not in positions)
    raise InputError(f"{places(rows, field, source)(bad)}: {rows[bad].get(field)!r:.40} is no id of this file")


def _flags(rows: Sequence[Row], field: str, source: Path) -> NDArray[np.bool_]:
    return np.array(flags([row.get(field) for row in rows], places(rows, field, source)), dtype=np.bool_)


def _areas(areas: NDArray[np.float64], boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Take the area of every annotation in square pixels, that of the box where it has none."""
    of_boxes = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return np.where(areas > 0, areas, of_boxes).astype(np.float64)
