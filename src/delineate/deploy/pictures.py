"""A picture, to users, is a path, a folder, an array, a PIL picture, a tensor, or many of these."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from delineate.data.images import SUFFIXES, from_pil, pictures_in, read_image
from delineate.values import InputError

Picture = str | Path | NDArray[Any] | Image.Image | Tensor
"""A file, a folder, or a picture in memory; arrays are `(H, W, 3)` RGB or `(H, W)` gray, tensors `(3, H, W)` RGB."""
Pictures = Picture | Iterable[Picture]


def each_picture(pictures: Pictures) -> Iterator[Picture]:
    """Give pictures one by one, in the order given; a folder's are all files below it that are called pictures, sorted.

    Raises `InputError` for a folder without any.
    """
    for picture in [pictures] if isinstance(pictures, str | Path | np.ndarray | Image.Image | Tensor) else pictures:
        if isinstance(picture, str | Path) and Path(picture).is_dir():
            files = pictures_in(Path(picture))
            if not files:
                raise InputError(f"{picture}: no pictures in this folder (looked for {', '.join(sorted(SUFFIXES))})")
            yield from files
        else:
            yield picture


def decoded(
    pictures: Pictures, unreadable: Callable[[InputError], None] | None = None
) -> Iterator[tuple[str, UInt8[Tensor, "3 h w"]]]:
    """Read pictures one by one, each with its file, `""` for one in memory.

    Raises `InputError` for a picture that cannot be read, unless `unreadable` takes it.
    """
    for picture in each_picture(pictures):
        try:
            image = to_image(picture)
        except InputError as error:
            if unreadable is None:
                raise
            unreadable(error)
        else:
            yield str(picture) if isinstance(picture, str | Path) else "", image


def to_image(picture: Picture) -> UInt8[Tensor, "3 h w"]:
    """Read the RGB pixels of one picture.

    Raises `InputError` for a file that is no picture, and for an array whose shape or type says nothing definite.
    """
    if isinstance(picture, str | Path):
        return read_image(Path(picture))
    if isinstance(picture, Image.Image):
        return from_pil(picture)
    if isinstance(picture, np.ndarray):
        picture = np.array(picture)  # torch takes neither negative strides nor memory that is read only
        if picture.dtype == np.uint8 and picture.ndim == 2:
            return torch.from_numpy(picture).expand(3, -1, -1).contiguous()
        if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
            return torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        raise InputError(f"picture: array {picture.dtype} {picture.shape} is not uint8 (H, W, 3) RGB or (H, W) gray")
    if isinstance(picture, Tensor):
        if picture.dtype == torch.uint8 and picture.ndim == 3 and picture.shape[0] == 3:
            return picture
        raise InputError(f"picture: tensor {picture.dtype} {tuple(picture.shape)} is not uint8 (3, H, W) RGB")
    raise InputError(f"picture: {type(picture).__name__} is no path, folder, array, PIL picture or tensor")
