"""Every writer needs files that are whole or not there, pictures under new names, and label maps as PNG."""

import io
import json
import shutil
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from PIL import Image
from torch import Tensor

from delineate.data.dataset import Dataset, skippable
from delineate.data.images import image_size
from delineate.io.files import written_beside
from delineate.values import InputError, Target


def check_new(folder: Path, mend: str = "name a new folder") -> None:
    """Raise `InputError` with the `mend` when there is something already where a folder is to be written."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: there is something already; {mend}")


def read_text(path: Path) -> str:
    """Read a UTF-8 file without the mark that some editors put first, or UTF-16, as Windows' shell writes it.

    Raises `InputError` naming the file.
    """
    data = path.read_bytes()
    try:
        return data.decode("utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is no UTF-8; save the file as UTF-8") from None


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 file that are not blank, as `read_text` does."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `InputError` naming it where it cannot be read, or is none."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is no JSON ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """Write the text as UTF-8, whole or not at all."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def store_pictures(dataset: Dataset, folder: Path, prefix: str = "") -> Iterator[tuple[Path, Target]]:
    """Put every picture into `folder` and give its new path with its target, in the data set's order.

    A picture that is a file is copied byte for byte and not decoded; one that is not (synthetic) becomes a PNG. No two
    get the same stem, so that a label file may be named after its picture; `prefix` precedes every stem.
    """
    for index, (file, unique) in enumerate(zip(dataset.files, unique_stems(dataset.files), strict=True)):
        stem = prefix + unique
        if file.is_file():
            path = folder / f"{stem}{file.suffix}"
            with written_beside(path) as beside:
                shutil.copyfile(file, beside)
            try:
                target = dataset.target(index, image_size(file))
            except InputError as error:
                raise skippable(error) from None
            yield path, target
        else:
            try:
                sample = dataset[index]
            except InputError as error:
                raise skippable(error) from None
            path = folder / f"{stem}.png"
            with written_beside(path) as beside:
                Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(beside, format="png")
            yield path, sample.target


def write_label_map(path: Path, label_map: Int64[Tensor, "h w"]) -> None:
    """Write a palette PNG whose indices are the values (0 to 255), in VOC's colours."""
    with written_beside(path) as beside:
        beside.write_bytes(label_map_png(label_map))


def label_map_png(label_map: Int64[Tensor, "h w"]) -> bytes:
    """Make the PNG of `write_label_map`."""
    picture = Image.fromarray(label_map.numpy().astype(np.uint8))
    picture.putpalette(voc_palette())
    stream = io.BytesIO()
    picture.save(stream, format="png")
    return stream.getvalue()


def voc_palette() -> list[int]:
    """Make Pascal VOC's 256 RGB colours: the index's bits are dealt to red, green and blue from the highest down."""
    return [
        sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8))
        for index in range(256)
        for channel in range(3)
    ]


def unique_stems(files: Sequence[Path]) -> list[str]:
    """Name each file by its stem; where pictures of several folders share one, all are numbered."""
    stems = [file.stem for file in files]
    if max(Counter(stem.casefold() for stem in stems).values(), default=1) == 1:
        return stems
    return [f"{index:06d}_{stem}" for index, stem in enumerate(stems)]
