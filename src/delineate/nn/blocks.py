"""Convolutions with what usually follows them, their first weights, and maps cut to a size."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

kaiming_fan_out = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")


def initialise(layers: Iterable[nn.Module], fill: Callable[[Tensor], Any]) -> None:
    """Fill the weights of layers, and their biases with zeros."""
    for layer in layers:
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        assert layer.bias is not None
        fill(layer.weight)
        nn.init.zeros_(layer.bias)


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a padded convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def padded_to(images: Float[Tensor, "b c h w"], multiple: int) -> Float[Tensor, "b c h2 w2"]:
    """Pad pictures by zeros, at right and bottom, to multiples of so many pixels."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple))


def cropped(x: Float[Tensor, "b c h w"], size: Sequence[int]) -> Float[Tensor, "b c h2 w2"]:
    """Cut off what overhangs `(height, width)` at right and bottom.

    It is a view, but for an exported graph: whether anything overhangs decides how a view lies in memory, which would
    tie the graph to sizes like that of its example.
    """
    if torch.compiler.is_exporting():
        return F.pad(x, (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2]))
    return x[..., : size[0], : size[1]]


def num_cells(side: int, stride: int) -> int:
    """Count the cells of `stride` pixels that cover a side, of which the last one may overhang.

    No negative number is divided: ONNX rounds those another way than Python.
    """
    return (side + stride - 1) // stride
