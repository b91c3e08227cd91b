"""Classes have colours that stay apart."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

# The first colours stay apart for the colour-blind too, after Okabe & Ito, "Color Universal Design".
FIRST = ("0072b2", "e69f00", "009e73", "d46aa6", "d55e00", "56b4e9", "e0cc1e", "7a3b9e", "8f1d3f", "7fc97f")
NUM_COLORS = 256
IGNORED_COLOR = (128, 128, 134)


def palette(num_classes: int) -> UInt8[Tensor, "num_classes 3"]:
    """Choose RGB colours of classes `0..num_classes-1`.

    A class keeps its colour whatever the number of classes. All are readable on white and on black and none is gray,
    which stands for ignored pixels. Past 256 classes the colours repeat.
    """
    return _table()[torch.arange(num_classes) % NUM_COLORS]


def hex_color(color: Iterable[int]) -> str:
    """Write a colour as `#rrggbb`."""
    return f"#{bytes(color).hex()}"


def class_colors(names: Sequence[str]) -> dict[str, str]:
    """Give the names of classes, in the order of their labels, their colours as `#rrggbb`."""
    return dict(zip(names, map(hex_color, palette(len(names)).tolist()), strict=True))


@lru_cache(maxsize=1)
def _table() -> UInt8[Tensor, "n 3"]:
    """Take the first colours, then again and again the candidate that is farthest from all colours taken so far."""
    first = torch.tensor([list(bytes.fromhex(color)) for color in FIRST])
    levels = torch.linspace(0, 255, 18).round().long()
    candidates = torch.cartesian_prod(levels, levels, levels)
    lab = oklab(candidates)
    lightness, chroma = lab[:, 0], lab[:, 1:].norm(dim=1)
    pleasant = (lightness > 0.45) & (lightness < 0.88) & (chroma > 0.06) & (chroma < 0.2)
    candidates, lab = candidates[pleasant], lab[pleasant]

    nearest = torch.cdist(lab, oklab(first)).amin(1)
    colors = list(first)
    while len(colors) < NUM_COLORS:
        pick = int(nearest.argmax())
        colors.append(candidates[pick])
        nearest = nearest.minimum((lab - lab[pick]).norm(dim=1))
    return torch.stack(colors).to(torch.uint8)


def oklab(colors: Tensor) -> Float[Tensor, "n 3"]:
    """Convert RGB to lightness, green-red, blue-yellow, where equal distances look equal (Ottosson 2020, OKLab)."""
    value = colors.double() / 255
    linear = torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    cones = (linear @ linear.new_tensor(to_cones).T) ** (1 / 3)
    return cones @ cones.new_tensor(to_lab).T
