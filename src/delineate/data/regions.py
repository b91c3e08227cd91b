"""Pictures of more pixels than memory holds are read region by region: TIFFs in tiles or strips, and what is in memory.

top, left, height, width    a window, in pixels of the picture
"""

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from delineate.data.cutting import Window
from delineate.values import InputError

SUFFIXES = frozenset({".tif", ".tiff"})
LARGE = 2**24
"""A TIFF of more pixels (17 million, 50 MB) is read by regions."""
BAND = 2**22
"""Bands of so many pixels are shrunk at once."""
KEPT = 2**26
"""Decoded tiles of up to so many bytes are kept, as neighbouring windows share them."""
MOST_OF_ONE = 2**26
"""A tile or strip of more pixels is no part any more."""
SEEN = 4096
"""What is drawn of a picture that is read by regions has so many pixels a side."""
GRAY, RGB, YCBCR, UNASSOCIATED = 1, 2, 6, 2
MEND = "save it as a tiled TIFF of 8-bit RGB"


@runtime_checkable
class Regions(Protocol):
    """A picture of `size` `(height, width)` gives the pixels of windows of it, until it is closed."""

    @property
    def size(self) -> tuple[int, int]: ...

    def read(self, window: Window) -> UInt8[Tensor, "3 h w"]:
        """Read the RGB pixels of a window, which lies in the picture."""

    def close(self) -> None:
        """Let go of a file."""


class InMemory:
    """A picture that is in memory is cut."""

    def __init__(self, image: UInt8[Tensor, "3 h w"]) -> None:
        self.image = image
        self.size = (image.shape[-2], image.shape[-1])

    def read(self, window: Window) -> UInt8[Tensor, "3 h w"]:
        top, left, height, width = window
        return self.image[:, top : top + height, left : left + width]

    def close(self) -> None:
        pass


class Tiff:
    """A TIFF's tiles, or strips, are decoded as windows ask for them; the first page counts.

    Raises `InputError` naming it where it is of another kind than can be read in parts.
    """

    def __init__(self, path: Path) -> None:
        import tifffile

        self._file = tifffile.TiffFile(path)
        page: Any = self._file.pages[0]
        self.page, self.path = page, path
        self.size: tuple[int, int] = (page.imagelength, page.imagewidth)
        self.part = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        self.part = min(self.part[0], self.size[0]), min(self.part[1], self.size[1])
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._bytes, self._lock = 0, Lock()
        try:
            self._check()
        except InputError:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

    def read(self, window: Window) -> UInt8[Tensor, "3 h w"]:
        """Read the RGB pixels of a window, converted as `read_image` does.

        Raises `InputError` naming the file where a part of it is broken.
        """
        top, left, height, width = window
        rows, columns = self.part
        pixels = np.empty((height, width, 3), np.uint8)
        for row in range(top // rows, (top + height - 1) // rows + 1):
            for column in range(left // columns, (left + width - 1) // columns + 1):
                part = self._decoded(row * -(-self.size[1] // columns) + column)
                y, x = row * rows, column * columns
                first, last = max(top, y), min(top + height, y + len(part))
                start, stop = max(left, x), min(left + width, x + part.shape[1])
                pixels[first - top : last - top, start - left : stop - left] = part[
                    first - y : last - y, start - x : stop - x
                ]
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def _decoded(self, number: int) -> np.ndarray:
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
            else:
                self._kept[number] = self._decode(number)
                self._bytes += self._kept[number].nbytes
                while self._bytes > KEPT and len(self._kept) > 1:
                    self._bytes -= self._kept.popitem(last=False)[1].nbytes
            part: np.ndarray = self._kept[number]
            return part

    def _decode(self, number: int) -> np.ndarray:
        page = self.page
        try:
            handle = page.parent.filehandle
            handle.seek(page.dataoffsets[number])
            data = handle.read(page.databytecounts[number]) if page.databytecounts[number] else None
            pixels, _, shape = page.decode(data, number, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
        except Exception as error:  # its decoders raise what they like
            raise InputError(
                f"{self.path}: part {number} is broken ({error}); replace the file or remove it"
            ) from error
        if pixels is None:  # what was never written
            pixels = np.full((*shape[:3], page.samplesperpixel), page.nodata, page.dtype)
        return _rgb(pixels[0, : shape[1], : shape[2]])

    def _check(self) -> None:
        """Raise `InputError` for what `read_image` would convert otherwise, and for parts that are none."""
        page, tag = self.page, self.page.tags.get("Orientation")
        alpha = tuple(map(int, page.extrasamples))
        plain = (int(page.photometric), page.samplesperpixel - len(alpha)) in ((GRAY, 1), (RGB, 3), (YCBCR, 3))
        known = plain and alpha in ((), (UNASSOCIATED,)) and page.dtype in (np.uint8, np.uint16)
        if not known or (page.samplesperpixel > 1 and int(page.planarconfig) != 1) or page.imagedepth != 1:
            kind = f"{page.samplesperpixel} x {page.dtype}, {getattr(page.photometric, 'name', page.photometric)}"
            raise InputError(f"{self.path}: a TIFF of this kind ({kind}) is not read in parts; {MEND}")
        if tag is not None and int(tag.value) != 1:
            raise InputError(f"{self.path}: its orientation is {int(tag.value)}, and parts are read upright; {MEND}")
        if self.part[0] * self.part[1] > MOST_OF_ONE:
            raise InputError(f"{self.path}: its pixels lie in pieces of {self.part[0]} x {self.part[1]}; {MEND}")


def _rgb(pixels: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Convert gray, RGB and RGBA of 8 or 16 bits, on white, as `data.images` does."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.shape[-1] in (2, 4):
        alpha = pixels[..., -1:].astype(np.uint32)
        pixels = ((pixels[..., :-1] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def is_large_tiff(path: Path) -> bool:
    """Tell whether a file is a TIFF that is read by regions; without `tifffile` none is."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    try:
        import tifffile
    except ImportError:
        return False
    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            return bool(page.imagelength * page.imagewidth > LARGE)
    except Exception:  # `read_image` says what it is instead
        return False


def as_seen(regions: Regions) -> UInt8[Tensor, "3 h w"]:
    """Give the picture itself where it is in memory, or else shrunk to `SEEN` pixels a side."""
    return regions.image if isinstance(regions, InMemory) else shrunk(regions, (SEEN, SEEN))


def shrunk(regions: Regions, most: tuple[int, int]) -> UInt8[Tensor, "3 h w"]:
    """Shrink a picture until it fits into `most` `(height, width)`; one that fits stays as it is.

    Pixels are averaged band by band, so that no more than one band is in memory.
    """
    height, width = regions.size
    ratio = min(most[0] / height, most[1] / width, 1.0)
    size = max(1, round(height * ratio)), max(1, round(width * ratio))
    if isinstance(regions, InMemory):
        whole: Tensor = transforms.resize(regions.image, list(size), antialias=True)
        return whole
    bands = max(1, min(size[0], height * width // BAND + 1))
    edges = [round(band * size[0] / bands) for band in range(bands + 1)]
    rows = [round(edge * height / size[0]) for edge in edges]
    parts = [
        transforms.resize(
            regions.read((rows[band], 0, rows[band + 1] - rows[band], width)),
            [edges[band + 1] - edges[band], size[1]],
            antialias=True,
        )
        for band in range(bands)
    ]
    return torch.cat(parts, 1)
