"""Convolutions with what usually follows them, and maps cut to a size."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """A padded convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def cropped(x: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """A map without what overhangs `(height, width)` at right and bottom.

    A slice would lie in memory as the map does or otherwise, by whether anything overhangs, and so tie an exported
    graph to sizes like that of its example.
    """
    return F.pad(x, (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2]))


def num_cells(side: int, stride: int) -> int:
    """The number of cells of `stride` pixels that cover a side, of which the last one may overhang.

    No negative number is divided: ONNX rounds those another way than Python.
    """
    return (side + stride - 1) // stride
