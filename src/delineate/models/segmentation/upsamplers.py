"""The five upsamplers have one interface: `(B, in, h, w)` and a size give `(B, out, H, W)`.

A map may overshoot its size by less than the factor, where poolings rounded up; it is cropped at right and bottom, so
that pixels stay in place.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from delineate.models.segmentation.options import Upsampling
from delineate.nn.blocks import cropped
from delineate.ops import upsampling
from delineate.values import InputError


def enlarged(
    x: Float[Tensor, "b c h w"], factor: int, size: Sequence[int], *, align_corners: bool = False
) -> Float[Tensor, "b c h2 w2"]:
    """Interpolate a map linearly to `factor` times its sides, and crop it to `(height, width)`."""
    return cropped(upsampling.bilinear(x, factor, align_corners=align_corners), size)


class Upsampler(nn.Module, ABC):
    """It enlarges a map, and changes its channels."""

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "b i h w"], size: tuple[int, int], indices: Int64[Tensor, "b j h w"] | None = None
    ) -> Float[Tensor, "b o h2 w2"]:
        """Enlarge the map to `(height, width)`; `indices` are those of the pooling that is undone, if it kept them."""


class FixedUpsampler(Upsampler):
    """It is `nearest`, `bilinear` or `bed_of_nails`.

    The channels change before the map grows: a 1x1 convolution without bias commutes with all three, and costs
    `factor**2` times less there.
    """

    def __init__(self, kind: Upsampling, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.enlarge = {
            "nearest": upsampling.nearest,
            "bilinear": upsampling.bilinear,
            "bed_of_nails": upsampling.bed_of_nails,
        }[kind]
        self.kind, self.factor = kind, factor
        self.channels = _project(in_channels, out_channels)

    def forward(
        self, x: Float[Tensor, "b i h w"], size: tuple[int, int], indices: Int64[Tensor, "b j h w"] | None = None
    ) -> Float[Tensor, "b o h2 w2"]:
        return cropped(self.enlarge(self.channels(x), self.factor), size)


class MaxUnpool(Upsampler):
    """Values return to where the encoder's maxima came from; one index for each channel of the pooled map is needed."""

    def __init__(self, in_channels: int, out_channels: int, index_channels: int) -> None:
        super().__init__()
        self.before = _project(in_channels, index_channels)
        self.after = _project(index_channels, out_channels)

    def forward(
        self, x: Float[Tensor, "b i h w"], size: tuple[int, int], indices: Int64[Tensor, "b j h w"] | None = None
    ) -> Float[Tensor, "b o h2 w2"]:
        assert indices is not None, "make_upsampler gives max unpooling only where the encoder keeps indices"
        grown: Tensor = self.after(upsampling.max_unpool(self.before(x), indices, size))
        return grown


class Transposed(Upsampler):
    """It learns a kernel of `kernel_size` at stride `factor`; one of twice the factor begins as bilinear."""

    def __init__(self, in_channels: int, out_channels: int, factor: int, kernel_size: int) -> None:
        super().__init__()
        padding = (kernel_size - factor) // 2
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, kernel_size, factor, padding, bias=False)
        if kernel_size == 2 * factor and in_channels == out_channels:
            with torch.no_grad():
                self.conv.weight.zero_()
                self.conv.weight[range(in_channels), range(in_channels)] = upsampling.bilinear_kernel(factor)

    def forward(
        self, x: Float[Tensor, "b i h w"], size: tuple[int, int], indices: Int64[Tensor, "b j h w"] | None = None
    ) -> Float[Tensor, "b o h2 w2"]:
        return cropped(self.conv(x), size)


def make_upsampler(
    kind: Upsampling,
    in_channels: int,
    out_channels: int,
    stride: int,
    index_channels: Mapping[int, int],
    factor: int = 2,
    kernel_size: int = 2,
) -> Upsampler:
    """Build the upsampler from `stride` to `stride / factor`.

    `index_channels` are the encoder's (`nn.backbones`); `kernel_size` is that of `transposed`. Raises `InputError`
    for `max_unpool` where the encoder keeps no indices.
    """
    if kind == "transposed":
        return Transposed(in_channels, out_channels, factor, kernel_size)
    if kind != "max_unpool":
        return FixedUpsampler(kind, in_channels, out_channels, factor)
    if stride not in index_channels or factor != 2:
        raise InputError(
            f"upsampler: max_unpool needs the indices of the max pooling to stride {stride}, which this encoder does "
            "not keep; --backbone plain (with --downsampling max_pool) and the VGGs (vgg11 .. vgg19, vgg11_bn ..) do"
        )
    return MaxUnpool(in_channels, out_channels, index_channels[stride])


def _project(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1, bias=False)
