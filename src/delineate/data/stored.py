"""Pictures of a data set may lie in tar shards, or in stores; a path says where, as `shards/000.tar/a.jpg` does."""

import io
import re
from functools import lru_cache
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from delineate.data.images import read_stream
from delineate.io.copies import opened_here
from delineate.io.stores import is_url, named
from delineate.io.tars import read_member

ARCHIVE = re.compile(r"\.tar(?=/.)", re.IGNORECASE)


def is_stored(name: str) -> bool:
    """Tell whether a name is that of a picture in an archive or a store, and of no file of the disk."""
    return is_url(name) or archive_of(name) is not None


def archive_of(name: str) -> str | None:
    """Name the archive that a picture lies in; `None` where it lies by itself, or in a folder that is called so."""
    ends = (name[: found.end()] for found in ARCHIVE.finditer(name))
    return next((end for end in ends if is_url(end) or not _is_folder(end)), None)


@lru_cache(maxsize=1024)
def _is_folder(path: str) -> bool:
    return Path(path).is_dir()


def read_stored(file: Path) -> UInt8[Tensor, "3 h w"]:
    """Read the pixels of a picture in an archive or a store, as `read_image` does those of a file.

    What is fetched of stores is kept a while (`io/copies.py`). Raises `InputError` naming the picture, and `OSError`
    where a store cannot be reached.
    """
    name = named(file)
    archive = archive_of(name)
    if archive is not None:
        return read_stream(io.BytesIO(read_member(archive, name[len(archive) + 1 :])), name)
    with opened_here(name) as stream:
        return read_stream(io.BytesIO(stream.read()), name)
