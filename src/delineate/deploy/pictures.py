"""A picture, to users, is a path, a folder, bytes, an open file, an array, a PIL picture, a tensor, or many."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from delineate.data.folders import pictures_in
from delineate.data.images import SUFFIXES, Stream, from_pil, read_image, read_stream
from delineate.data.pairing import unread
from delineate.data.regions import InMemory, Regions, Tiff, is_large_tiff
from delineate.deploy.pipeline import in_order
from delineate.values import InputError


@dataclass(frozen=True)
class Stored:
    """A picture that lies in a store, an archive or a table is known by a name, and its bytes are read in its turn."""

    name: str
    read: Callable[[], bytes]


Picture = str | Path | bytes | bytearray | Stream | NDArray[Any] | Image.Image | Tensor | Stored
"""A file, a folder, or a picture in memory: the bytes of a file, a file opened as `open(path, "rb")` does, an array
`(H, W, 3)` RGB or `(H, W)` gray, a PIL picture, a tensor `(3, H, W)` RGB; or one that is `Stored`."""
Pictures = Picture | Iterable[Picture]
Made = TypeVar("Made")
URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""A letter and a colon is a drive of Windows; a `Path` has lost the second slash."""


def each_picture(pictures: Pictures) -> Iterator[Picture]:
    """Give pictures one by one, in the order given; a folder's are all files below it that are called pictures, sorted.

    Raises `InputError` for a folder without any.
    """
    for picture in _listed(pictures):
        if isinstance(picture, str | Path) and Path(picture).is_dir():
            files = pictures_in(Path(picture))
            if not files:
                others = "".join(f"; {line}" for line in unread(Path(picture)))
                looked = ", ".join(sorted(SUFFIXES))
                raise InputError(f"{picture}: no pictures in this folder (looked for {looked}){others}")
            yield from files
        else:
            yield picture


def decoded(
    pictures: Pictures, unreadable: Callable[[InputError], None] | None = None, workers: int = 0
) -> Iterator[tuple[str, UInt8[Tensor, "3 h w"]]]:
    """Read pictures one by one, each with its file, `""` for one in memory; see `read_ahead`."""
    return read_ahead(pictures, lambda file, image: (file, image), unreadable, workers, workers)


def read_ahead(
    pictures: Pictures,
    make: Callable[[str, UInt8[Tensor, "3 h w"]], Made],
    unreadable: Callable[[InputError], None] | None = None,
    workers: int = 0,
    ahead: int = 0,
) -> Iterator[Made]:
    """Read pictures one by one, and give what is made of each one's file, `""` for one in memory, and its pixels.

    So many `workers`, threads, read and make, up to `ahead` pictures before they are asked for. Raises `InputError` for
    a picture that cannot be read, unless `unreadable` takes it; one in memory is named by its number, counted from 1.
    """
    jobs = (
        partial(_made, make, picture, f"picture {number}") for number, picture in enumerate(each_picture(pictures), 1)
    )
    for read in in_order(jobs, workers, ahead):
        try:
            made = read()
        except InputError as error:
            if unreadable is None:
                raise
            unreadable(error)
        else:
            yield made


def in_regions(
    pictures: Pictures, unreadable: Callable[[InputError], None] | None = None, workers: int = 0
) -> Iterator[tuple[str, Regions]]:
    """Give pictures one by one, to be read region by region, each with its file, `""` for one in memory.

    Large TIFFs stay where they are; all others are read, one ahead where there are `workers`. Each is closed when the
    next is asked for. Raises `InputError` as `read_ahead`.
    """
    jobs = (partial(_regions, picture, f"picture {number}") for number, picture in enumerate(each_picture(pictures), 1))
    for read in in_order(jobs, min(workers, 1), min(workers, 1)):
        try:
            file, regions = read()
        except InputError as error:
            if unreadable is None:
                raise
            unreadable(error)
        else:
            with closing(regions):
                yield file, regions


def _regions(picture: Picture, name: str) -> tuple[str, Regions]:
    if isinstance(picture, str | Path):
        large = is_large_tiff(Path(picture))
        return str(picture), Tiff(Path(picture)) if large else InMemory(to_image(picture, name))
    return name_of(picture), InMemory(to_image(picture, name))


def to_image(picture: Picture, name: str = "picture") -> UInt8[Tensor, "3 h w"]:
    """Read the RGB pixels of one picture; `name` stands in the errors of one that has no file.

    Raises `InputError` for a file that is no picture, and for an array whose shape or type says nothing definite.
    """
    if isinstance(picture, str | Path):
        if URL.match(str(picture)):
            raise InputError(f"{picture}: URLs are not fetched; pass a file, or the picture's bytes")
        return read_image(Path(picture))
    if isinstance(picture, bytes | bytearray):
        return read_stream(io.BytesIO(picture), name)
    if isinstance(picture, Stored):
        return read_stream(io.BytesIO(picture.read()), picture.name)
    if isinstance(picture, io.TextIOBase):
        raise InputError(f"{name}: its file is opened as text; open it as open(path, 'rb')")
    if isinstance(picture, Image.Image):
        return from_pil(picture, name)
    if isinstance(picture, np.ndarray):
        return _of_array(picture, name)
    if isinstance(picture, Tensor):
        if picture.dtype == torch.uint8 and picture.ndim == 3 and picture.shape[0] == 3:
            return picture
        raise InputError(f"{name}: tensor {picture.dtype} {tuple(picture.shape)} is not uint8 (3, H, W) RGB")
    if hasattr(picture, "read"):
        return read_stream(picture, name)
    raise InputError(
        f"{name}: {type(picture).__name__} is no path, folder, bytes, open file, array, PIL picture or tensor"
    )


def _made(make: Callable[[str, Tensor], Made], picture: Picture, name: str) -> Made:
    return make(name_of(picture), to_image(picture, name))


def name_of(picture: Picture) -> str:
    """Give the file of a picture, or the name of one that is stored; `""` for others in memory."""
    if isinstance(picture, Stored):
        return picture.name
    return str(picture) if isinstance(picture, str | Path) else ""


def _listed(pictures: Any) -> Iterable[Picture]:
    """Make a list of one picture: bytes, arrays and files can be gone through, too."""
    one = isinstance(pictures, str | Path | bytes | bytearray | np.ndarray | Image.Image | Tensor | Stored)
    many: Iterable[Picture] = [pictures] if one or hasattr(pictures, "read") else pictures
    return many


def _of_array(array: NDArray[Any], name: str) -> UInt8[Tensor, "3 h w"]:
    array = np.array(array)  # torch takes neither negative strides nor memory that is read only
    if array.dtype == np.uint8 and array.ndim == 2:
        return torch.from_numpy(array).expand(3, -1, -1).contiguous()
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3:
        return torch.from_numpy(array).permute(2, 0, 1).contiguous()
    raise InputError(f"{name}: array {array.dtype} {array.shape} is not uint8 (H, W, 3) RGB or (H, W) gray")
