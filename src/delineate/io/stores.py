"""A file lies on a disk, or in a store that `fsspec` reaches by a URL: S3, GCS, HTTP, memory.

What is said of one file (it is not there, it may not be read) is an `InputError`; where a store cannot be reached,
every file would be said to be missing, so that this is an `OSError`, which ends the work.
"""

import errno
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from delineate.io.files import FULL, written_beside
from delineate.values import InputError

URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
ONE_SLASH = re.compile(r"^([a-z][a-z0-9+.-]+):/(?!/)", re.IGNORECASE)
PAUSES = (1.0, 4.0)
"""Seconds to wait before a store that did not answer is asked again."""
OF_THE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""A store that raises one of these was reached."""


def is_url(path: str) -> bool:
    """Tell whether a path is one of a store, with its protocol before it."""
    return URL.match(path) is not None


def located(path: str) -> str:
    """Give a path that means the same in other processes: a URL as it is, a path of the disk from the root."""
    return path if is_url(path) else str(Path(path).absolute())


def beside(path: str, name: str) -> str:
    """Find what a file names, which is a URL, a path from the root, or a path from the folder of that file."""
    if is_url(name):
        return name
    if is_url(path):
        return f"{path.rpartition('/')[0]}/{name}"
    return str(Path(path).parent / name)


def exists(path: str) -> bool:
    """Tell whether there is such a file or folder; raises `OSError` where its store cannot be reached."""
    if not is_url(path):
        return Path(path).exists()
    with _reached(path) as (store, place):
        return bool(store.exists(place))


def files_below(folder: str) -> list[str]:
    """List the files in a folder of a store and below it, sorted, without what is hidden."""
    with _reached(folder) as (store, place):
        names = store.find(place)
        hidden = re.compile(r"/\.")
        return sorted(store.unstrip_protocol(name) for name in names if not hidden.search(name[len(place) :]))


def matching(pattern: str) -> list[str]:
    """List the files of a store that a pattern means, sorted."""
    with _reached(pattern) as (store, place):
        return sorted(store.unstrip_protocol(name) for name in store.glob(place))


def is_folder(path: str) -> bool:
    """Tell whether a path of a store is a folder."""
    with _reached(path) as (store, place):
        return bool(store.isdir(place))


def read_bytes(path: str) -> bytes:
    """Read a whole file; raises `InputError` naming it, or `OSError` where its store cannot be reached."""
    if is_url(path):
        for pause in PAUSES:
            try:
                return _read(path)
            except OSError:
                time.sleep(pause)
    return _read(path)


def file_size(path: str) -> int:
    """Give the number of bytes of a file in a store; raises as `read_bytes`."""
    with _reached(path) as (store, place):
        return int(store.size(place))


def copy(path: str, to: Path) -> None:
    """Copy a file of a store to the disk; raises as `read_bytes`, and `OSError` where the disk is full."""
    with _reached(path) as (store, place):
        store.get_file(place, str(to))


def named(path: Path) -> str:
    """Give what a path is called, which has lost a slash where it was made of a URL."""
    return ONE_SLASH.sub(r"\1://", str(path), count=1)


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Open a file to be read from its beginning, or from anywhere; raises as `read_bytes`."""
    if is_url(path):
        with _reached(path) as (store, place), store.open(place, "rb") as file:
            yield file
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 (it is closed below)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with file:
        yield file


@contextmanager
def stored_beside(path: str) -> Iterator[Path]:
    """Give a file of the disk to write to, which becomes `path` when the block ends well, whole or not at all."""
    if not is_url(path):
        with written_beside(Path(path)) as place:
            yield place
        return
    with TemporaryDirectory() as folder:
        yield (local := Path(folder) / "file")
        with _reached(path) as (store, place):
            store.makedirs(store._parent(place), exist_ok=True)
            part = f"{store._parent(place)}/.{uuid.uuid4().hex}"
            store.put_file(str(local), part)
            store.mv(part, place)


def _read(path: str) -> bytes:
    if not is_url(path):
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
    with _reached(path) as (store, place):
        data: bytes = store.cat_file(place)
        return data


@contextmanager
def _reached(path: str) -> Iterator[tuple[Any, str]]:
    """Give the store of a URL and the place in it; what goes wrong there is said in one of two ways."""
    import fsspec

    try:
        store, place = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:  # the library of a store is missing, or no store is called so
        raise InputError(f"{path}: {error}") from None
    try:
        yield store, place
    except OF_THE_FILE as error:
        what = "it is not there" if isinstance(error, FileNotFoundError) else f"it cannot be read ({error})"
        raise InputError(f"{path}: {what}") from None
    except InputError:
        raise
    except OSError as error:
        if error.errno in FULL:  # the disk's own
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(errno.EIO, f"the store cannot be reached or refuses ({reason})", path) from error
    except Exception as error:  # each store's library raises its own
        if getattr(error, "status", None):  # HTTP's answer of one file
            raise InputError(f"{path}: the store answers {error}") from None
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(errno.EIO, f"the store cannot be reached or refuses ({reason})", path) from error
