"""Files are written whole, or are not there."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A copy that meets one of these names what it copies."""


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when the block ends well and vanishes when it does not.

    Raises `OSError` that names `path` where it cannot be written, which the system's own does not always do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        beside.replace(path)
    except (OSError, RuntimeError) as error:
        cause = (
            error if isinstance(error, OSError) else error.__context__
        )  # torch.save fails at its end, for lack of it
        if isinstance(cause, OSError) and (cause.errno in FULL or cause.filename in (None, str(beside))):
            what = os.strerror(cause.errno) if cause.errno else cause.strerror or str(cause)
            raise OSError(cause.errno or errno.EIO, what, str(path)) from error
        raise
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Give a new folder to write to, whose content is that of `path` when the block ends well, and else vanishes.

    `path` is an empty folder, which may be one that nothing can be written beside, or not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f".{path.name}.{os.getpid()}"
    beside = path / name if path.is_dir() else path.with_name(name)
    beside.mkdir()
    try:
        yield beside
        if path.is_dir():
            for child in beside.iterdir():
                child.replace(path / child.name)
        else:
            beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
