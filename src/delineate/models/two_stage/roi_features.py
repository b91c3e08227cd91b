"""What a head sees of a region of interest (RoI): its pixels, warped, or its part of the feature maps, pooled.

    RoIWarp    R-CNN         the picture's pixels, with a little context, whatever their aspect, in a square
    RoIPool    Fast R-CNN    the maximum in each of S x S bins of the map, whose borders are rounded to its cells
    RoIAlign   Mask R-CNN    the mean of bilinear samples in each bin; nothing is rounded

R  RoIs of all pictures, picture by picture    S  side of the result
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align, roi_pool

from delineate.models.two_stage.proposers.contract import Levels

MOST_SAMPLES = 4
"""The most samples a side that are averaged for a pixel of a warped crop."""


class RoIFeatures(nn.Module, ABC):
    """Pictures, their feature maps and the boxes of each picture to `(R, C, S, S)`."""

    size: int

    @abstractmethod
    def forward(
        self, images: Float[Tensor, "b 3 h w"], levels: Levels, boxes: Sequence[Float[Tensor, "_n 4"]]
    ) -> Float[Tensor, "r c s s"]: ...


class RoIWarp(RoIFeatures):
    """The pixels of each box and of `context` pixels of the result around it; what lies outside the picture is zero.

    Girshick et al. 2014, R-CNN, section 2.1 and appendix A: 16 pixels of 227.
    """

    def __init__(self, *, size: int, context: int) -> None:
        super().__init__()
        self.size, self.context = size, context

    def forward(
        self, images: Float[Tensor, "b 3 h w"], levels: Levels, boxes: Sequence[Float[Tensor, "_n 4"]]
    ) -> Float[Tensor, "r 3 s s"]:
        crops = [self._crops(image, its) for image, its in zip(images, boxes, strict=True)]
        return torch.cat(crops).contiguous(memory_format=torch.channels_last)

    def _crops(self, image: Tensor, boxes: Tensor) -> Tensor:
        inner = self.size - 2 * self.context
        centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * self.size / inner
        window = torch.cat([centre - half, centre + half], 1)
        padded, offset = _surround(image, window)
        crops = image.new_empty(len(boxes), len(image), self.size, self.size)
        # a warped pixel is the mean of samples in it, as many a side as the box needs not to alias
        per_pixel = (2 * half.amax(1) / self.size).round().clamp(1, MOST_SAMPLES).long()
        for count in range(1, MOST_SAMPLES + 1):
            here = per_pixel == count
            if not here.any():
                continue
            rois = [(window + offset)[here]]
            crops[here] = roi_align(padded[None], rois, self.size, sampling_ratio=count, aligned=True).to(crops)
        return crops


def _surround(image: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """The picture in as many zeros as the windows reach beyond it, and where it lies in them."""
    height, width = image.shape[-2:]
    reach = torch.tensor([width, height], device=window.device)
    before = (-window[:, :2]).clamp(min=0).amax(0) if len(window) else window.new_zeros(2)
    after = (window[:, 2:] - reach).clamp(min=0).amax(0) if len(window) else window.new_zeros(2)
    (left, top), (right, bottom) = before.ceil().int().tolist(), after.ceil().int().tolist()
    return F.pad(image, (left, right, top, bottom)), torch.tensor([left, top, left, top], device=window.device)


class _Pooled(RoIFeatures):
    """Each RoI from the level that its size belongs to.

    Lin et al. 2017, FPN, equation 1: a box of 224 x 224 pixels is looked up at stride 16, one of half the size at half
    the stride. With one level, it is always that one.
    """

    def __init__(self, *, size: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.size, self.strides = size, tuple(strides)

    @abstractmethod
    def pool(self, level: Tensor, rois: Float[Tensor, "r 5"], scale: float) -> Float[Tensor, "r c s s"]: ...

    def forward(
        self, images: Float[Tensor, "b 3 h w"], levels: Levels, boxes: Sequence[Float[Tensor, "_n 4"]]
    ) -> Float[Tensor, "r c s s"]:
        pictures = [torch.full_like(its[:, :1], number) for number, its in enumerate(boxes)]
        rois = torch.cat([torch.cat(pictures), torch.cat(list(boxes))], 1)
        used = levels[: len(self.strides)]
        if len(used) == 1:
            return self.pool(used[0], rois, 1 / self.strides[0])
        places = self.places(rois[:, 1:])
        result = used[0].new_zeros(len(rois), used[0].shape[1], self.size, self.size, dtype=torch.float32)
        for number, (level, stride) in enumerate(zip(used, self.strides, strict=True)):
            here = (places == number).nonzero()[:, 0]
            result[here] = self.pool(level, rois[here], 1 / stride).float()
        return result

    def places(self, boxes: Float[Tensor, "r 4"]) -> Int64[Tensor, " r"]:
        """The index of each box's level."""
        side = (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt()
        level = torch.floor(4 + torch.log2(side / 224) + 1e-6)  # 4 is stride 16
        finest = self.strides[0].bit_length() - 1
        return level.clamp(finest, finest + len(self.strides) - 1).long() - finest


class RoIPool(_Pooled):
    """Girshick 2015, "Fast R-CNN", section 2.1."""

    def pool(self, level: Tensor, rois: Float[Tensor, "r 5"], scale: float) -> Float[Tensor, "r c s s"]:
        pooled: Tensor = roi_pool(level.float(), rois, self.size, scale)  # autocast leaves it alone on CPUs
        return pooled


class RoIAlign(_Pooled):
    """He et al. 2017, "Mask R-CNN", section 3; two by two samples a bin."""

    def pool(self, level: Tensor, rois: Float[Tensor, "r 5"], scale: float) -> Float[Tensor, "r c s s"]:
        pooled: Tensor = roi_align(level, rois, self.size, scale, sampling_ratio=2)
        return pooled
