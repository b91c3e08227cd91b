"""Label maps are painted in patches: small pictures whose values are classes."""

import base64
import binascii
import io
from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from delineate.data.files import voc_palette
from delineate.values import IGNORE, InputError

Values = NDArray[np.uint8]
MOST_BYTES = 2**25
"""A patch of more bytes, of base64, is none that was painted."""


class Patch(BaseModel):
    """A patch gives the pixels in `box` (whole numbers) the values of a PNG of that size, written in base64.

    The PNG has one value a pixel; of one in colour, as a canvas writes it, red is the value, and where it is
    transparent what was there stays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["label_map"]
    png: str = Field(max_length=MOST_BYTES)
    box: tuple[
        Annotated[int, Field(ge=0)],
        Annotated[int, Field(ge=0)],
        Annotated[int, Field(ge=0)],
        Annotated[int, Field(ge=0)],
    ]


def check_patch(patch: Patch, num_values: int, image_size: tuple[int, int]) -> None:
    """Raise `InputError` where a patch has another size, is not in the picture, or has a value that means nothing."""
    x1, y1, x2, y2 = patch.box
    if not (x1 < x2 <= image_size[1] and y1 < y2 <= image_size[0]):
        raise InputError(f"label_map: box: {list(patch.box)} is none in a picture of {image_size[1]} x {image_size[0]}")
    values, there = _decoded(patch)
    unknown = values[there & (values >= num_values) & (values != IGNORE)]
    if len(unknown):
        raise InputError(f"label_map: value {int(unknown[0])} is no class; there are 0..{num_values - 1} and {IGNORE}")


def painted(label_map: Values, patches: Iterable[Patch]) -> Values:
    """Paint patches one over another on a copy of a label map `(h, w)`."""
    label_map = label_map.copy()
    for patch in patches:
        x1, y1, x2, y2 = patch.box
        values, there = _decoded(patch)
        label_map[y1:y2, x1:x2][there] = values[there]
    return label_map


def as_values(label_map: Int64[Tensor, "h w"]) -> Values:
    """Make a label map small."""
    return label_map.numpy().astype(np.uint8)


def as_tensor(label_map: Values) -> Int64[Tensor, "h w"]:
    """Make a tensor of it, as all others are."""
    return torch.from_numpy(label_map.astype(np.int64))


def as_png(label_map: Values) -> bytes:
    """Write a label map as a palette PNG, whose indices are the values."""
    picture = Image.fromarray(label_map)
    picture.putpalette(voc_palette())
    written = io.BytesIO()
    picture.save(written, format="png", compress_level=1)
    return written.getvalue()


def _decoded(patch: Patch) -> tuple[Values, NDArray[np.bool_]]:
    """Decode the values, and tell which there are."""
    x1, y1, x2, y2 = patch.box
    try:
        with Image.open(io.BytesIO(base64.b64decode(patch.png, validate=True)), formats=["PNG"]) as picture:
            if picture.size != (x2 - x1, y2 - y1):
                raise InputError(
                    f"label_map: a PNG of {picture.width} x {picture.height} does not fill the box {list(patch.box)}"
                )
            if picture.mode not in ("L", "P", "RGB", "RGBA"):
                raise InputError(f"label_map: a PNG of mode {picture.mode}; write 8 bits a pixel")
            pixels = np.array(picture)
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise InputError("label_map: png: it is no PNG in base64") from None
    values = pixels if pixels.ndim == 2 else pixels[..., 0]
    there = pixels[..., 3] > 0 if pixels.ndim == 3 and pixels.shape[2] == 4 else np.ones(values.shape, np.bool_)
    return values, there
