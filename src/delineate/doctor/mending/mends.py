"""Mends are functions of one object: what is left of it, or nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from delineate.data.formats.coco.segmentations import box_around
from delineate.doctor.checks.bodies import is_in
from delineate.doctor.checks.objects import cut, has_area, ordered, with_corners
from delineate.doctor.records import Hit, Size, Thing

Mend = Callable[[Thing, Size], Thing | None]


class Change(NamedTuple):
    """Something was changed in a file: at which place, for which kind of finding, and how."""

    file: str
    place: str
    finding: str
    before: str
    after: str


def remove(thing: Thing, size: Size) -> None:
    """Leave nothing of it."""
    return


def order(thing: Thing, size: Size) -> Thing:
    """Put the corners of the box in order."""
    return thing if thing.box is None else replace(thing, box=ordered(thing.box))


def cut_to_picture(thing: Thing, size: Size) -> Thing:
    """Cut the box at the borders of the picture."""
    return thing if thing.box is None else replace(thing, box=cut(thing.box, size))


def multiply(thing: Thing, size: Size) -> Thing:
    """Turn shares of the picture into pixels; the mask stays as it is."""
    return replace(thing.scaled(size[1], size[0]), shape=thing.shape, keypoints=thing.keypoints)


def around_mask(thing: Thing, size: Size) -> Thing:
    """Take the box around the mask."""
    around = box_around(with_corners(thing.shape))
    if around is None:
        return thing
    x, y, width, height = around
    return replace(thing, box=(x, y, x + width, y + height))


def without_short_polygons(thing: Thing, size: Size) -> Thing:
    """Leave out polygons of fewer than three points."""
    return replace(thing, shape=with_corners(thing.shape) or None)


def without_mask(thing: Thing, size: Size) -> Thing:
    """Leave out the mask."""
    return replace(thing, shape=None)


def as_it_is(thing: Thing, size: Size) -> Thing:
    """Write it again: numbers as numbers, pixels as shares."""
    return thing


def visible(thing: Thing, size: Size) -> Thing:
    """Make a visibility above 2, or below 0, one of COCO's."""
    points = tuple((x, y, float(min(max(round(seen), 0), 2))) for x, y, seen in thing.keypoints)
    return replace(thing, keypoints=points)


def without_far_keypoints(thing: Thing, size: Size) -> Thing:
    """Take keypoints out of the picture for not annotated, as a training does, which never learns them."""
    return replace(thing, keypoints=tuple(point if is_in(*point[:2], size) else (0, 0, 0) for point in thing.keypoints))


MENDS: Mapping[str, Mend] = {
    "number-as-text": as_it_is,
    "class-names-alike": as_it_is,
    "not-normalised": as_it_is,
    "swapped": order,
    "normalised": multiply,
    "visibility": visible,
    "keypoints-outside": without_far_keypoints,
    "rle-size": without_mask,
    "broken-mask": without_mask,
    "short-polygon": without_short_polygons,
    "box-not-mask": around_mask,
    "reaches-out": cut_to_picture,
    "degenerate": remove,
    "outside": remove,
    "duplicated": remove,
    "not-a-number": remove,
    "broken-row": remove,
    "unknown-category": remove,
}
"""What each kind of finding becomes, in this order where an object is of several."""


def mended(
    things: Sequence[Thing], hits: Sequence[Hit], size: Size, aliases: Mapping[str, str], file: str, least: float
) -> tuple[dict[int, Thing | None], list[Change]]:
    """Mend the objects of a picture of which this was found; gives the changed ones by their rows."""
    kinds: dict[int, dict[str, str]] = {}
    for hit in hits:
        for row in hit.rows if hit.kind in MENDS else ():
            kinds.setdefault(row, {})[hit.kind] = hit.place
    by_row = {thing.row: thing for thing in things}
    edits: dict[int, Thing | None] = {}
    changes: list[Change] = []
    for row in sorted({*kinds, *(thing.row for thing in things if thing.name in aliases)}):
        before = thing = by_row.get(row)
        for kind in (kind for kind in MENDS if kind in kinds.get(row, ())):
            thing = None if thing is None else MENDS[kind](thing, size)
            changes.append(Change(file, kinds[row][kind], kind, _said(before, thing), _said(thing, before)))
        if thing is not None and thing.box is not None and thing is not before and not has_area(thing.box, least):
            changes.append(Change(file, thing.place, "degenerate", _said(thing, None), "left out"))
            thing = None
        if thing is not None and thing.name in aliases:
            changes.append(Change(file, thing.place, "class-names-alike", thing.name, aliases[thing.name]))
            thing = replace(thing, name=aliases[thing.name])
        edits[row] = thing
    return edits, changes


def _said(thing: Thing | None, other: Thing | None) -> str:
    """Say what an object is, by its box, or by the keypoints in which alone it differs from the other."""
    if thing is None:
        return "left out"
    if other is not None and thing.box == other.box and thing.keypoints != other.keypoints:
        pairs = zip(thing.keypoints, other.keypoints, strict=True)
        points = (" ".join(f"{value:g}" for value in point) for point, its in pairs if point != its)
        return f"{thing.name} keypoints {', '.join(points)}"
    return thing.name if thing.box is None else f"{thing.name} {' '.join(f'{value:g}' for value in thing.box)}"
