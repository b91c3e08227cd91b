"""Checks of a picture's file against what is written of it."""

from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Literal

from delineate.data.pairing import check_size
from delineate.doctor.checks.objects import NEAR, is_normalised, ordered
from delineate.doctor.looking import Look
from delineate.doctor.records import Hit, Size
from delineate.values import InputError

SUFFIXES_OF = {
    "JPEG": (".jpg", ".jpeg", ".jfif", ".jpe", ".mpo"),
    "MPO": (".jpg", ".jpeg", ".jfif", ".jpe", ".mpo"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
}
"""The suffixes of common formats, the usual one first; others are not held to any."""


def wrong_suffix(look: Look) -> Iterator[Hit]:
    """Find a picture of another format than its suffix says."""
    suffixes = SUFFIXES_OF.get(look.header.format) if look.header else None
    if suffixes and look.record.file.suffix.lower() not in suffixes:
        assert look.header is not None
        yield Hit("wrong-suffix", look.record.written, f"it is {look.header.format}")


def size_differs(look: Look) -> Iterator[Hit]:
    """Find an annotation of a picture of another size, as the readers do."""
    if look.header is None:
        return
    said, (height, width) = look.record.said, look.header.size
    try:
        check_size(said, look.record.file, (height, width), look.record.written)
    except InputError:
        turned_by = f", turned by EXIF ({look.header.orientation})" if look.header.orientation >= 5 else ""
        detail = f"annotated at {said[1]} x {said[0]} pixels, and read at {width} x {height}{turned_by}"
        yield Hit("size-differs", look.record.written, detail)


def turned(look: Look) -> Iterator[Hit]:
    """Find a picture that EXIF turns where no size, and no object, tells that the turned one is annotated."""
    if look.header is None or look.header.orientation == 1 or not (look.things or look.stored is not None):
        return
    height, width = look.header.size
    has_size = 0 not in look.record.said or look.stored is not None
    objects = annotated_as(look)
    if not (look.header.orientation >= 5 and has_size and height != width) and objects != "turned":
        why = ", and its objects lie in the picture as it is stored" if objects == "stored" else ""
        yield Hit("turned", look.record.written, f"EXIF's orientation is {look.header.orientation}{why}")


def annotated_as(look: Look) -> Literal["stored", "turned"] | None:
    """Say in which picture all objects lie, where EXIF exchanges its sides and they do not lie in both, or in none.

    Only coordinates in pixels tell it.
    """
    if look.header is None or look.header.orientation < 5 or look.part.in_shares:
        return None
    height, width = look.header.size
    as_turned, as_stored = _all_in(look, (height, width)), _all_in(look, (width, height))
    if as_turned == as_stored:
        return None
    return "turned" if as_turned else "stored"


def _all_in(look: Look, size: Size) -> bool:
    """Tell whether no box reaches out of a picture of this size."""
    height, width = size
    boxes = [ordered(thing.box) for thing in look.things if thing.box and not is_normalised(thing, look, size)]
    return all(min(x1, y1) >= -NEAR and x2 <= width + NEAR and y2 <= height + NEAR for x1, y1, x2, y2 in boxes)


def outside_folder(look: Look) -> Iterator[Hit]:
    """Find a picture whose written name leads out of the folder."""
    written = look.record.written
    if ".." in PurePosixPath(written).parts or written.startswith("/") or PureWindowsPath(written).drive:
        yield Hit("outside-folder", written, str(look.record.file))
