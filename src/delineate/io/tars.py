"""Tar archives are read in any order, once it is known where their files lie; what is cut off is said to be.

WebDataset's shards are such archives. Compressed ones are read from the first file to the last alone.
"""

import os
import tarfile
import zlib
from functools import lru_cache
from typing import IO, Any

from delineate.io.copies import opened_here
from delineate.values import InputError

CUT_OFF = (tarfile.TarError, EOFError, zlib.error, OSError)
"""An archive that is cut off or broken raises one of these; the disk's and the store's `OSError` has an `errno`."""
KNOWN = 64
"""A process remembers where the files of so many archives lie."""


class StrictInfo(tarfile.TarInfo):
    """A header that is broken or missing is an error; `tarfile` takes it for the end, and so a part for the whole."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> "StrictInfo":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # it is in no list of names
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def read_member(archive: str, name: str) -> bytes:
    """Read one file of an archive, which may lie in a store, from which it is fetched whole.

    Raises `InputError` naming both where the archive is none, is compressed, or does not have it, and as `opened_here`.
    """
    with opened_here(archive) as file:
        state = os.fstat(file.fileno())
        places, said = _places(archive, state.st_ino, state.st_size)
        start, size = places.get(name, (0, 0))
        if name in places:
            file.seek(start)
            if len(data := file.read(size)) == size:
                return data
            said = said or f"at {name}"
    if said:
        raise InputError(f"{archive}/{name}: the archive is cut off or broken {said}; write it anew")
    raise InputError(f"{archive}/{name}: there is no such file in this archive")


@lru_cache(maxsize=KNOWN)
def _places(archive: str, _inode: int, _size: int) -> tuple[dict[str, tuple[int, int]], str]:
    """Find where each file lies and its size, and where the archive is broken, if it is."""
    with opened_here(archive) as file:
        return _walk(archive, file)


def _walk(archive: str, file: IO[bytes]) -> tuple[dict[str, tuple[int, int]], str]:
    places: dict[str, tuple[int, int]] = {}
    last = ""
    try:
        with tarfile.open(fileobj=file, mode="r:", tarinfo=StrictInfo) as tar:
            for member in tar:
                last = member.name
                if member.isreg():
                    places[member.name.removeprefix("./")] = member.offset_data, member.size
    except CUT_OFF as error:
        if isinstance(error, OSError) and not isinstance(error, tarfile.TarError) and error.errno:
            raise  # the disk's
        if not last:
            raise InputError(f"{archive}: this is no tar archive that is not compressed ({error})") from None
        return places, f"behind {last} ({error})"
    return places, ""
