"""Files of stores are kept on the disk, as many as a bound allows: what was not used for longest goes first.

$XDG_CACHE_HOME/delineate/stores/HASH.SUFFIX    a copy of a file, which all processes of the machine share

`DELINEATE_CACHE_GB` is the bound, 20 if not set; what is being fetched may come on top.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from delineate.io import stores
from delineate.io.files import written_beside
from delineate.values import InputError

Answer = TypeVar("Answer")

BOUND, USUAL = "DELINEATE_CACHE_GB", 20.0
NUM_LOCKS = 64
"""Files are fetched once, however many processes want them; so many may be fetched at once."""
TRIES = 5
SHARE = 64
"""Files that are smaller than this part of the bound make room for many others at once."""


@contextmanager
def opened_here(path: str) -> Iterator[IO[bytes]]:
    """Open a file of the disk, or the copy of one that lies in a store.

    Raises `InputError` naming it where it is not there, or larger than the bound, and `OSError` where its store cannot
    be reached or the disk is full.
    """
    if not stores.is_url(path):
        with stores.opened(path) as file:
            yield file
        return
    with _opened_copy(path) as file:
        yield file


def cache_folder() -> Path:
    """Find where copies are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "delineate" / "stores"


def bound() -> int:
    """Say how many bytes copies may take; raises `InputError` for what is no number above 0."""
    given = os.environ.get(BOUND, str(USUAL))
    with suppress(ValueError, OverflowError):
        if (read := round(float(given) * 1e9)) > 0:
            return read
    raise InputError(f"{BOUND}: {given!r} is no number of gigabytes above 0")


def _opened_copy(url: str) -> IO[bytes]:
    name = hashlib.sha256(url.encode()).hexdigest()[:32]
    copy = cache_folder() / f"{name}{PurePosixPath(url).suffix}"
    for _ in range(TRIES):
        with suppress(FileNotFoundError):
            file = copy.open("rb")
            with suppress(OSError):
                os.utime(copy)
            return file
        _fetch(url, copy, int(name, 16) % NUM_LOCKS)
    raise InputError(f"{url}: other files take its place as soon as it is here; raise {BOUND}")


def _fetch(url: str, copy: Path, lock: int) -> None:
    from filelock import FileLock

    copy.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(copy.parent / f".lock-{lock}"):
        if copy.exists():
            return
        size = _asked(stores.file_size, url)
        if size > bound():
            raise InputError(f"{url}: {size / 1e9:.3g} GB are more than all copies may take; raise {BOUND}")
        with FileLock(copy.parent / ".lock-room"):
            _make_room(copy.parent, size)
        with written_beside(copy) as beside:
            _asked(lambda path: stores.copy(path, beside), url)


def _make_room(folder: Path, size: int) -> None:
    """Remove what was not used for longest, until there is room; now and then where files are small."""
    limit = bound()
    known = folder / ".room"
    left = 0.0
    with suppress(OSError, ValueError):
        left = float(known.read_text())
    if size <= left:
        known.write_text(str(left - size))
        return
    wanted = max(size, limit // SHARE)
    entries = []
    with os.scandir(folder) as found:
        for entry in found:
            with suppress(OSError):  # another process may remove it meanwhile
                if entry.name != known.name and not entry.name.startswith(".lock-"):
                    state = entry.stat()
                    entries.append((state.st_mtime, state.st_size, entry.path))
    total = sum(taken for _, taken, _ in entries)
    for _, taken, path in sorted(entries):
        if total + wanted <= limit:
            break
        with suppress(OSError):
            Path(path).unlink()  # who has it open keeps it
            total -= taken
    known.write_text(str(max(0, limit - total - size)))


def _asked(ask: Callable[[str], Answer], url: str) -> Answer:
    """Ask a store, and again where it does not answer."""
    for pause in stores.PAUSES:
        try:
            return ask(url)
        except OSError:
            time.sleep(pause)
    return ask(url)
