"""A decoded picture becomes a network's input, in a way that travels with the weights."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Real, UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Resize and normalise.

    The shorter side becomes `short_side` pixels unless the longer one would pass `long_side`; `None` leaves the size.
    With `size`, `(height, width)`, every picture gets that size, and loses its aspect ratio.
    `resizing` is `smooth`, or `sampled` as torchvision's detectors have it: without antialiasing, to sizes that are
    rounded down, and into floats, where `smooth` makes bytes. A detector that was trained with one finds less with the
    other.
    `mean` and `std` are per RGB channel, of values in 0..1 (ImageNet's by default).
    """

    short_side: int | None = None
    long_side: int | None = None
    size: tuple[int, int] | None = None
    resizing: Literal["smooth", "sampled"] = "smooth"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def resized(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Compute the `(height, width)` in which the network gets a picture of `image_size`."""
        if self.size is not None:
            return self.size
        height, width = image_size
        scale = 1.0
        if self.short_side is not None:
            scale = self.short_side / min(height, width)
        if self.long_side is not None:
            scale = min(scale, self.long_side / max(height, width))
        rounded = round if self.antialias else int
        return max(1, rounded(height * scale)), max(1, rounded(width * scale))

    @property
    def antialias(self) -> bool:
        """Tell whether pixels are averaged where a picture is made smaller."""
        return self.resizing == "smooth"

    @property
    def dtype(self) -> torch.dtype:
        """Resized pictures have values of this type, in 0..255: of dark ones, a byte rounds much away."""
        return torch.uint8 if self.resizing == "smooth" else torch.float32

    def resized_sides(self, boxes: Float[Tensor, "n 4"], image_size: tuple[int, int]) -> Float[Tensor, "n 2"]:
        """Compute the width and height of boxes once their picture, of `image_size`, is resized."""
        (height, width), (new_height, new_width) = image_size, self.resized(image_size)
        return (boxes[:, 2:] - boxes[:, :2]) * torch.tensor([new_width / width, new_height / height])

    def resize(self, image: UInt8[Tensor, "3 h w"]) -> Real[Tensor, "3 h2 w2"]:
        """Resize a decoded picture to values in 0..255 of `dtype`."""
        height, width = image.shape[-2:]
        size, pixels = self.resized((height, width)), image.to(self.dtype)
        if size == (height, width):
            return pixels
        pixels = pixels[None].contiguous(memory_format=torch.channels_last)[0]  # as the resizing is fastest
        resized: Tensor = transforms.resize(pixels, list(size), antialias=self.antialias)
        return resized

    def normalise(self, images: Real[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 3 h w"]:
        # Rows of alternating channels, as channels-last memory has them: a step takes a row and not a pixel.
        width = images.shape[-1]
        rows = images.movedim(-3, -1).flatten(-2).to(torch.float32, copy=True)
        mean = torch.tensor(self.mean, device=images.device).repeat(width)
        std = torch.tensor(self.std, device=images.device).repeat(width)
        normalised = rows.mul_(1 / (255 * std)).sub_(mean / std)
        return normalised.view(*normalised.shape[:-1], width, 3).movedim(-1, -3)

    def denormalise(self, images: Float[Tensor, "*b 3 h w"]) -> UInt8[Tensor, "*b 3 h w"]:
        """Undo `normalise`."""
        mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in (self.mean, self.std))
        return ((images.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
