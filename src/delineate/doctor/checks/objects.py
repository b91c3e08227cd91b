"""Checks of the objects of one picture: their boxes, their masks, and what stands beside them."""

from collections.abc import Callable, Iterator
from typing import Any

from faster_coco_eval.core import mask as coco_masks

from delineate.data.formats.coco.segmentations import UNREADABLE, box_around, is_mask
from delineate.data.formats.yolo.labels import OUTSIDE
from delineate.doctor.looking import Look
from delineate.doctor.records import Box, Hit, Size, Thing

NEAR = 1
"""Pixels by which a box may reach out of its picture: rounding, and counting from 1."""
LOOSE, LOOSE_SHARE = 2.0, 0.1
"""Pixels, and the share of the longer side, by which a box may be off its mask."""
CORNERS = 6
"""The numbers of the smallest polygon."""


def of_each(kind: str, is_so: Callable[[Thing, Look, Size], bool]) -> Callable[[Look], Iterator[Hit]]:
    """Make a check that finds each object of which something is true."""

    def check(look: Look) -> Iterator[Hit]:
        if (size := look.frame) is None:
            return
        for thing in look.things:
            if is_so(thing, look, size):
                yield Hit(kind, thing.place, _numbers(thing), (thing.row,))

    return check


def duplicated(look: Look) -> Iterator[Hit]:
    """Find objects that say the same as an earlier one, by all that is written of them."""
    seen: set[str] = set()
    for thing in look.things:
        said = repr((thing.name, thing.box, thing.shape, thing.keypoints, thing.crowd))
        if said in seen:
            yield Hit("duplicated", thing.place, _numbers(thing), (thing.row,))
        seen.add(said)


def ordered(box: Box) -> Box:
    """Put the corners of a box in their order."""
    x1, y1, x2, y2 = box
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def cut(box: Box, size: Size) -> Box:
    """Cut a box at the borders of its picture."""
    (x1, y1, x2, y2), (height, width) = ordered(box), size
    return min(max(x1, 0), width), min(max(y1, 0), height), min(max(x2, 0), width), min(max(y2, 0), height)


def is_swapped(thing: Thing, _: Look, size: Size) -> bool:
    """Tell whether the corners are exchanged, in the file or where a reader says so."""
    return thing.swapped or (thing.box is not None and ordered(thing.box) != thing.box)


def is_degenerate(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether a box has no area wherever it lies."""
    return thing.box is not None and not has_area(thing.box, look.part.least)


def has_area(box: Box, least: float = 0) -> bool:
    """Tell whether a box has sides above 0, one of them above `least`."""
    x1, y1, x2, y2 = ordered(box)
    sides = (x2 - x1, y2 - y1)
    return min(sides) > 1e-9 and max(sides) > least


def is_normalised(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether all numbers lie in 0..1 and some are no whole ones, where pixels are meant; VOC's begin with -1."""
    if thing.box is None or look.part.in_shares or max(map(abs, thing.box)) > 1:
        return False
    return any(value % 1 for value in thing.box)


def is_outside(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether a box with an area has none in its picture."""
    return is_placed(thing, look, size) and not has_area(cut(thing.box or (0, 0, 0, 0), size))


def reaches_out(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether a box lies in its picture, but not wholly; a share of a picture may be off by rounding."""
    if not is_placed(thing, look, size) or is_outside(thing, look, size):
        return False
    box = ordered(thing.box or (0, 0, 0, 0))
    near = max(NEAR, OUTSIDE * max(size)) if look.part.in_shares else NEAR
    return any(abs(value - inside) > near for value, inside in zip(box, cut(box, size), strict=True))


def box_not_mask(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether a box is not the one around its mask; crowds may be anything."""
    if thing.box is None or thing.crowd or not is_placed(thing, look, size) or _is_of_other_size(thing, size):
        return False
    around = box_around(with_corners(thing.shape))
    if around is None or look.part.in_shares:
        return False
    x, y, width, height = around
    loose = max(LOOSE, LOOSE_SHARE * max(width, height))
    mask = cut((x, y, x + width, y + height), size)
    return any(abs(a - b) > loose for a, b in zip(cut(thing.box, size), mask, strict=True))


def with_corners(shape: Any) -> Any:
    """Leave the polygons of fewer than three points out of a mask."""
    return [polygon for polygon in shape if len(polygon) >= CORNERS] if isinstance(shape, list) else shape


def has_short_polygon(thing: Thing, _: Look, size: Size) -> bool:
    """Tell whether a polygon has fewer than three points."""
    return isinstance(thing.shape, list) and any(len(polygon) < CORNERS for polygon in thing.shape)


def is_of_other_size(thing: Thing, _: Look, size: Size) -> bool:
    """Tell whether a mask's run lengths are of a picture of another size."""
    return _is_of_other_size(thing, size)


def is_broken_mask(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether a mask's run lengths, of the right size, cannot be decoded, where pictures are."""
    if not look.decoded or not isinstance(thing.shape, dict) or _is_of_other_size(thing, size):
        return False
    try:
        coco_masks.decode([coco_masks.segmToRle(thing.shape, size[1], size[0])])
    except UNREADABLE:
        return True
    return False


def is_crowd(thing: Thing, _: Look, size: Size) -> bool:
    """Tell whether it is a region of many objects."""
    return thing.crowd


def is_difficult(thing: Thing, _: Look, size: Size) -> bool:
    """Tell whether it is one that VOC does not count."""
    return thing.difficult


def is_placed(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether a box has an area, in pixels."""
    return thing.box is not None and has_area(thing.box, look.part.least) and not is_normalised(thing, look, size)


def _is_of_other_size(thing: Thing, size: Size) -> bool:
    return is_mask(thing.shape) and isinstance(thing.shape, dict) and tuple(thing.shape["size"]) != size


def _numbers(thing: Thing) -> str:
    return "" if thing.box is None else " ".join(f"{value:g}" for value in thing.box)


OBJECTS = (
    of_each("swapped", is_swapped),
    of_each("degenerate", is_degenerate),
    of_each("normalised", is_normalised),
    of_each("outside", is_outside),
    of_each("reaches-out", reaches_out),
    duplicated,
    of_each("box-not-mask", box_not_mask),
    of_each("short-polygon", has_short_polygon),
    of_each("rle-size", is_of_other_size),
    of_each("broken-mask", is_broken_mask),
    of_each("crowds", is_crowd),
    of_each("difficult", is_difficult),
)
