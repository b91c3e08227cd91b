"""EXIF's mark that a picture is turned is taken off, and its pixels stay as they are, byte for byte.

The mark is an entry of 12 bytes in the first directory of EXIF's block, which is laid out as a TIFF (CIPA DC-008,
4.6.2): tag, type, count, and the value. JPEG, WebP and PNG hold that block as it is; only PNG's chunks have a checksum.
"""

import io
import struct
import zlib
from pathlib import Path

from PIL import Image

from delineate.data.images import ORIENTATION, read_header
from delineate.doctor.checks.files import annotated_as
from delineate.doctor.looking import Look
from delineate.values import InputError

PREFIX = b"Exif\0\0"


def can_be_unturned(look: Look) -> bool:
    """Tell whether EXIF turns a picture that was annotated as it is stored, and its mark can be taken off."""
    if not _annotated_as_stored(look):
        return False
    try:
        return read_header(look.record.file, io.BytesIO(unturned(look.record.file))).orientation == 1
    except InputError:
        return False


def _annotated_as_stored(look: Look) -> bool:
    """Compare the size of the annotation, or see where the objects lie where it says none."""
    if look.header is None or look.header.orientation < 5 or look.record.held is not None:
        return False
    said = look.record.said
    if look.record.label_map is not None and 0 in said:
        try:
            said = read_header(look.record.label_map).size
        except InputError:
            return False
    if 0 in said:
        return annotated_as(look) == "stored"
    return said == look.header.size[::-1] and said != look.header.size


def unturned(file: Path) -> bytes:
    """Give the content of a picture's file without the mark; raises `InputError` where it is not in EXIF's block."""
    data = file.read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        block = bytes(picture.info.get("exif", b"")).removeprefix(PREFIX)
    at = data.find(block) if block else -1
    entry = _entry(block) if at >= 0 else None
    if entry is None:
        raise InputError(f"{file}: EXIF's mark is not where it can be taken off; save the picture again")
    place, value = entry
    mended = data[: at + place] + value + data[at + place + len(value) :]
    if data.startswith(b"\x89PNG"):
        end = at + len(block)
        checksum = zlib.crc32(mended[at - 4 : end])  # of the chunk's name and content
        mended = mended[:end] + struct.pack(">I", checksum) + mended[end + 4 :]
    return mended


def _entry(block: bytes) -> tuple[int, bytes] | None:
    """Find the value of the orientation in EXIF's block, and give the bytes that stand for upright."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return None
    start = struct.unpack_from(f"{order}I", block, 4)[0]
    if start + 2 > len(block):
        return None
    count = struct.unpack_from(f"{order}H", block, start)[0]
    for place in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        if struct.unpack_from(f"{order}H", block, place)[0] == ORIENTATION:
            return place + 8, struct.pack(f"{order}H", 1)
    return None
