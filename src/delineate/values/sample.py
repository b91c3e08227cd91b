"""A sample: a picture with what is known of it."""

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from delineate.values.errors import InputError
from delineate.values.target import Target


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A sample has one decoded RGB picture `(3, H, W)` uint8, its target, and the file it came from.

    Raises `InputError` when picture and target disagree about the size.
    """

    image: UInt8[Tensor, "3 h w"]
    target: Target
    file: str

    def __post_init__(self) -> None:
        if self.image.dtype != torch.uint8 or self.image.ndim != 3 or self.image.shape[0] != 3:
            raise InputError(
                f"{self.file}: image: {self.image.dtype} {tuple(self.image.shape)} is not torch.uint8 (3, H, W)"
            )
        if self.image.shape[1:] != self.target.image_size:
            raise InputError(
                f"{self.file}: the picture's (height, width) is {tuple(self.image.shape[1:])}, "
                f"its target's {self.target.image_size}"
            )
