"""The pictures of a folder are sent as they lie there, or so that a browser shows them as they are read."""

import io
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from starlette.responses import FileResponse, Response

from delineate.data.images import read_header, read_image
from delineate.serve.limits import Refused
from delineate.values import InputError

SHOWN = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "BMP": "image/bmp"}
"""Browsers show these as they are."""
SIDES = range(16, 1025)
"""A thumbnail has a longer side of so many pixels."""


def picture_response(file: Path, side: int | None, known: str | None) -> Response:
    """Send a picture, or a thumbnail with a longer `side`; nothing of it where the client has it, by the tag `known`.

    Raises `InputError` for what cannot be read, and `Refused` (404) for what is not there any more.
    """
    tag = _tag(file, side)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if known == tag:
        return Response(status_code=304, headers=headers)
    if side is not None:
        if side not in SIDES:
            raise InputError(f"side: {side} is outside {SIDES.start}..{SIDES.stop - 1}")
        return Response(_thumbnail(file, side), 200, headers, "image/jpeg")
    kind = _shown_as(file)
    if kind is not None:
        return FileResponse(file, headers=headers, media_type=kind)
    return Response(_written(_read(file), "png", compress_level=1), 200, headers, "image/png")


def _tag(file: Path, side: int | None) -> str:
    try:
        facts = file.stat()
    except OSError as error:
        raise Refused(404, f"{file.name}: {error.strerror}") from None
    return f'"{facts.st_mtime_ns:x}-{facts.st_size:x}-{side or ""}"'


def _shown_as(file: Path) -> str | None:
    """Say as what browsers show a file, turned as EXIF says; `None` for what they do not show so."""
    header = read_header(file)
    return SHOWN.get(header.format) if header.orientation == 1 or header.format == "JPEG" else None


def _read(file: Path) -> Image.Image:
    return Image.fromarray(read_image(file).permute(1, 2, 0).numpy())


def _thumbnail(file: Path, side: int) -> bytes:
    picture = _read_small(file, side) if read_header(file).format == "JPEG" else _read(file)
    picture.thumbnail((side, side))
    return _written(picture, "jpeg", quality=80)


def _read_small(file: Path, side: int) -> Image.Image:
    """Decode a JPEG at a half, a quarter or an eighth of its size, as long as it stays larger than it is shown."""
    try:
        with Image.open(file, formats=["JPEG"]) as picture:
            picture.draft("RGB", (2 * side, 2 * side))
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return _read(file)  # which says what is wrong with it


def _written(picture: Image.Image, kind: str, **options: Any) -> bytes:
    written = io.BytesIO()
    picture.save(written, format=kind, **options)
    return written.getvalue()
