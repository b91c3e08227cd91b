"""Picture files are decoded deliberately: every mode, orientation and breakage has one answer, given here."""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import SEEK_END
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from delineate.io.mistaken import NUM_BYTES, first_bytes, is_text, what_begins_so
from delineate.values import InputError

MAX_PIXELS = 2**27
"""A file that claims more pixels (134 million, 400 MB as RGB) is refused before decoding."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".jpe", ".mpo", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".avif", ".jp2", ".j2k", ".jpx"}
)

LABEL_MAP_MODES = frozenset({"1", "L", "P", "I;16", "I;16L", "I;16B", "I;16N"})
EXACT_FORMATS = frozenset({"PNG", "BMP", "DIB", "TIFF", "PPM"})
EXACT_SUFFIXES = frozenset({".png", ".bmp", ".dib", ".tif", ".tiff", ".pgm", ".pbm", ".pnm"})
"""Files of these keep the values of label maps; JPEGs and their like change them, and writers of GIF renumber them."""

ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND\xaeB`\x82"}
"""Files that begin so, JPEGs and PNGs, end so."""
NUM_LAST = 1024
"""So many bytes are read of a file's end."""
MEND = "replace the file or remove it"

ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Stream = IO[bytes] | io.BufferedIOBase
"""An open file; what is in memory, or in an archive, is the second."""

_header_lock = threading.Lock()


def read_image(path: Path) -> UInt8[Tensor, "3 h w"]:
    """Read the picture as RGB, turned as its EXIF orientation says.

    Gray and palette become RGB. Transparency is composited on white: the colours beneath it were never seen by who
    labelled the picture. CMYK is converted by Pillow's formula, without colour profiles. 16 bits become 8 by the scale
    of the type (65535 is 255), never by the content; a 1-bit picture is black and white. Of an animation, the first
    picture. The memory is channels-last, as the decoder leaves it.

    Raises `InputError` naming the file when it is missing, no picture, truncated, larger than `MAX_PIXELS`, or of 32
    bits a value, whose range nobody knows.
    """
    with _opened(path) as (picture, orientation):
        return _pixels(picture, orientation, path)


def read_stream(stream: Stream, name: str) -> UInt8[Tensor, "3 h w"]:
    """Read the picture in an open file, or in bytes, as `read_image` does; `name` stands in the errors."""
    with _opened(name, stream) as (picture, orientation):
        return _pixels(picture, orientation, name)


def from_pil(picture: Image.Image, name: str = "picture") -> UInt8[Tensor, "3 h w"]:
    """Convert a picture as `read_image` does the file that it was opened from; `name` stands in the errors.

    Raises `InputError` as `read_image` does; a picture larger than `MAX_PIXELS` is refused before it is decoded.
    """
    _check_pixels(picture, name)
    return _pixels(ImageOps.exif_transpose(picture), 1, name)


def read_label_map(path: Path) -> Int64[Tensor, "h w"]:
    """Read the values of a one-channel picture as they are stored: a palette's indices, never its colours.

    Raises `InputError` naming the file, as `read_image` does, and when it has several channels or is of a format, such
    as JPEG, that changes values.
    """
    with _opened(path) as (picture, orientation):
        kind = f"{picture.format} of mode {picture.mode}"
        if picture.mode not in LABEL_MAP_MODES:
            raise InputError(f"{path}: a label map is a PNG with one class value a pixel; this is a {kind}")
        if picture.format not in EXACT_FORMATS or "jpeg" in str(picture.info.get("compression")):
            raise InputError(
                f"{path}: a label map is a PNG with one class value a pixel; this is a {kind}, which changes values: "
                "save the original label maps as PNG"
            )
        return torch.from_numpy(np.array(_turned(picture, orientation)).astype(np.int64))


def image_size(path: Path) -> tuple[int, int]:
    """Read the `(height, width)` that `read_image` gives from the file's header alone."""
    return read_header(path).size


class Header(NamedTuple):
    """The header of a picture file says its format, EXIF's orientation (1 to 8), and the size that it is read in."""

    format: str
    orientation: int
    size: tuple[int, int]


def read_header(path: Path | str, stream: Stream | None = None) -> Header:
    """Read what is known of a picture without decoding it; raises `InputError` as `image_size`.

    With an open `stream`, the picture is in it, and `path` a name for the errors.
    """
    with _opened(path, stream) as (picture, orientation):
        size = (picture.width, picture.height) if orientation >= 5 else (picture.height, picture.width)
        return Header(str(picture.format), orientation, size)


def check_image(path: Path) -> None:
    """Raise `InputError` where a picture cannot be read, as far as the beginning and the end of its file tell.

    Others may have something behind the end of the picture, which is decoded then, to be sure.
    """
    image_size(path)
    if not _ends_well(path):
        read_image(path)


def is_turned(path: Path) -> bool:
    """Tell whether EXIF exchanges the height and the width of the picture as it is stored."""
    with _opened(path) as (_, orientation):
        return orientation >= 5


def read_thumbnail(path: Path, size: tuple[int, int], stream: Stream | None = None) -> UInt8[np.ndarray, "h w"]:
    """Read the picture in gray, at this small `(height, width)`, turned as `read_image` turns it and raising as it.

    With an open `stream`, the picture is in it, and `path` a name for the errors.
    """
    with _opened(path, stream) as (picture, orientation):
        picture.draft(
            "L", (8 * size[1], 8 * size[0])
        )  # JPEGs decode at an eighth of their size in a fraction of the time
        return np.array(_turned(_rgb(picture, path).convert("L"), orientation).resize(size[::-1]))


@contextmanager
def _opened(path: Path | str, stream: Stream | None = None) -> Iterator[tuple[Image.Image, int]]:
    """Open a picture before decoding, with its orientation; whatever goes wrong until the end is an `InputError`."""
    try:
        picture, orientation = _header(path if stream is None else stream)
        with picture:
            _check_pixels(picture, path)
            yield picture, orientation
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(_too_large(path)) from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: {_no_picture(path, stream)}; {MEND}") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"{path}: {error.strerror}") from None
        what = "it ends too early" if "truncated" in str(error).lower() else f"the picture is broken ({error})"
        raise InputError(f"{path}: {what}; {MEND}") from error


def _no_picture(path: Path | str, stream: Stream | None) -> str:
    """Say what something is that is no picture."""
    if stream is None:
        head = first_bytes(Path(path))
    else:
        stream.seek(0)
        head = stream.read(NUM_BYTES)
    if not head:
        return "the file is empty"
    return f"this is {what_begins_so(head) or _of_other_kind(head)}"


def _of_other_kind(head: bytes) -> str:
    return "text, not a picture" if is_text(head) else "no picture in a format that Pillow reads"


def _ends_well(path: Path) -> bool:
    """Tell whether a file ends as those do that begin like it; some have zeros behind that."""
    with path.open("rb") as file:
        head = file.read(max(map(len, ENDS)))
        end = next((end for start, end in ENDS.items() if head.startswith(start)), b"")
        file.seek(-min(NUM_LAST, path.stat().st_size), SEEK_END)
        return file.read().rstrip(b"\0").endswith(end)


def _header(path: Path | str | Stream) -> tuple[Image.Image, int]:
    """Open the undecoded picture with EXIF's 1 to 8, without Pillow's warnings, which name no file.

    Pillow turns TIFFs itself. The base class's `getexif` does not decode a PNG to look behind its pixels. A broken EXIF
    block says nothing of the pixels.
    """
    with _header_lock, warnings.catch_warnings():  # the filters are the whole process's
        warnings.simplefilter("ignore")
        picture = Image.open(path)  # type: ignore[arg-type]  # typing's IO is no base of what `io` has
        if picture.format == "TIFF":
            return picture, 1
        try:
            return picture, int(Image.Image.getexif(picture).get(ORIENTATION, 1))
        except Exception:  # Pillow raises SyntaxError, struct.error, ...
            return picture, 1


def _turned(picture: Image.Image, orientation: int) -> Image.Image:
    return picture.transpose(TURNS[orientation]) if orientation in TURNS else picture


def _pixels(picture: Image.Image, orientation: int, name: str | Path) -> UInt8[Tensor, "3 h w"]:
    rgb = _turned(_rgb(picture, name), orientation)
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)


def _rgb(picture: Image.Image, name: str | Path) -> Image.Image:
    if picture.mode.startswith("I;16") or (picture.mode, picture.format) == ("I", "PPM"):
        values = np.array(picture).astype(np.uint32)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise InputError(f"{name}: 32 bits a value have no known range; save the picture with 8 or 16 bits")
    if picture.has_transparency_data:
        seen = Image.new("RGB", picture.size, "white")
        picture = picture.convert("RGBA")
        seen.paste(picture, mask=picture)
        return seen
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _check_pixels(picture: Image.Image, name: str | Path) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise InputError(_too_large(name))


def _too_large(name: str | Path) -> str:
    parts = "of TIFFs, with 'delineate[large]' installed, `predict --tile` reads parts"
    return f"{name}: the file claims more than {MAX_PIXELS} pixels; cut the picture into tiles ({parts})"
