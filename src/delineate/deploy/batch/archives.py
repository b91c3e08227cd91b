"""Pictures lie in tar archives one behind another, as WebDataset has them, and are read from the first to the last."""

import tarfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

from delineate.data.images import SUFFIXES
from delineate.deploy.pictures import Stored
from delineate.io.stores import opened
from delineate.io.tars import CUT_OFF, StrictInfo
from delineate.values import InputError

ARCHIVES = (".tar", ".tar.gz", ".tgz")


def pictures_of(archive: str) -> Iterator[Stored]:
    """Give the pictures of an archive, compressed or not, by their names in it.

    Where it is cut off, the last one is named as it is, and raises `InputError` when it is read. Raises as `opened`.
    """
    last = "its beginning"
    with opened(archive) as file:
        try:
            with tarfile.open(fileobj=file, mode="r|*", tarinfo=StrictInfo) as tar:
                for member in tar:
                    last = member.name
                    tar.members.clear()  # type: ignore[attr-defined]  # it would keep all
                    stream = tar.extractfile(member) if _is_picture(member) else None
                    if stream is not None:
                        data = stream.read()
                        yield Stored(f"{archive}/{member.name}", partial(bytes, data))
        except CUT_OFF as error:
            if isinstance(error, OSError) and not isinstance(error, zlib.error | tarfile.TarError) and error.errno:
                raise  # the disk's or the store's
            said = f"{archive}: it is cut off or broken at {last} ({error}); write it anew"
            yield Stored(archive, partial(_fail, said))


def _is_picture(member: tarfile.TarInfo) -> bool:
    name = PurePosixPath(member.name)
    return member.isfile() and name.suffix.lower() in SUFFIXES and not name.name.startswith(".")


def _fail(message: str) -> bytes:
    raise InputError(message)
