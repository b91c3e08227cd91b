"""Films of squares that move, made here."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from delineate.deploy.video import video_file

SIDE, STEP = 16, 3


def frames(count: int, size: tuple[int, int] = (64, 96)) -> Iterator[Tensor]:
    """A red square goes to the right by `STEP` pixels a frame, and begins anew at the left."""
    for number in range(count):
        image = torch.zeros(3, *size, dtype=torch.uint8)
        left = place(number, size[1])
        image[0, 20 : 20 + SIDE, left : left + SIDE] = 255
        yield image


def place(number: int, width: int = 96) -> int:
    return STEP * number % (width - SIDE)


def film(path: Path, count: int, rate: float = 10.0, size: tuple[int, int] = (64, 96)) -> Path:
    with video_file(path, rate) as write:
        for number, image in enumerate(frames(count, size)):
            write(image, number / rate)
    return path


def jpegs(count: int) -> bytes:
    """The files of pictures one behind another, as a camera's stream has them."""
    stream = io.BytesIO()
    for image in frames(count):
        Image.fromarray(np.asarray(image.permute(1, 2, 0))).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def left_of(image: Tensor) -> int:
    """Find where the square of a frame begins; coding moves its edge by a pixel or two."""
    return int((image[0, 20 + SIDE // 2] > 128).nonzero()[0])
