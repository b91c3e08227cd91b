"""Checks of a picture's file against what is written of it."""

from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath

from delineate.data.pairing import check_size
from delineate.doctor.looking import Look
from delineate.doctor.records import Hit
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
    if look.size is None:
        return
    try:
        check_size(look.record.said, look.record.file, look.size, f"{look.record.source}: {look.record.written}")
    except InputError as error:
        yield Hit("size-differs", look.record.written, str(error))


def turned(look: Look) -> Iterator[Hit]:
    """Find a picture that EXIF turns where no size tells which of the two is annotated."""
    if look.header is None or look.header.orientation == 1 or not (look.things or look.stored is not None):
        return
    height, width = look.header.size
    has_size = 0 not in look.record.said or look.stored is not None
    if not (look.header.orientation >= 5 and has_size and height != width):
        yield Hit("turned", look.record.written, f"EXIF's orientation is {look.header.orientation}")


def outside_folder(look: Look) -> Iterator[Hit]:
    """Find a picture whose written name leads out of the folder."""
    written = look.record.written
    if ".." in PurePosixPath(written).parts or written.startswith("/") or PureWindowsPath(written).drive:
        yield Hit("outside-folder", written, str(look.record.file))
