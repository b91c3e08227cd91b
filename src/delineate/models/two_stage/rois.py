"""A head sees the pixels of a region of interest (RoI), warped, or its part of the feature maps, pooled.

    RoIWarp    R-CNN         the picture's pixels, with a little context, whatever their aspect, in a square
    RoIPool    Fast R-CNN    the maximum in each of S x S bins of the map, whose borders are rounded to its cells
    RoIAlign   Mask R-CNN    the mean of bilinear samples in each bin; nothing is rounded

R  RoIs of all pictures: the picture's number, then `x1 y1 x2 y2`    S  side of the result
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align, roi_pool

MOST_SAMPLES = 4
"""The most samples a side that are averaged for a pixel of a warped crop."""


def numbered(boxes: Float[Tensor, "b p 4"]) -> Float[Tensor, "r 5"]:
    """Number the boxes of each picture as RoIs."""
    pictures = torch.arange(boxes.shape[0], device=boxes.device)[:, None, None]
    return torch.cat([pictures.expand(-1, boxes.shape[1], 1).to(boxes), boxes], 2).flatten(0, 1)


def numbered_list(boxes: Sequence[Float[Tensor, "_n 4"]]) -> Float[Tensor, "r 5"]:
    """Do the same for pictures that have different numbers of boxes."""
    return torch.cat([F.pad(of_picture, (1, 0), value=float(picture)) for picture, of_picture in enumerate(boxes)])


class RoIWarp(nn.Module):
    """A head sees each box's pixels, and `context` pixels of the result around it; what is outside the picture is zero.

    Girshick et al. 2014, R-CNN, section 2.1 and appendix A: 16 pixels of 227.
    """

    def __init__(self, *, size: int, context: int) -> None:
        super().__init__()
        self.size, self.context = size, context

    def forward(
        self, images: Float[Tensor, "b 3 h w"], levels: Sequence[Tensor], rois: Float[Tensor, "r 5"]
    ) -> Float[Tensor, "r 3 s s"]:
        inner = self.size - 2 * self.context
        boxes = rois[:, 1:]
        centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * self.size / inner
        # sampling goes on with zeros beyond a border of zeros
        padded, border = F.pad(images, (1, 1, 1, 1)), 1
        windows = torch.cat([rois[:, :1], centre - half + border, centre + half + border], 1)
        # a warped pixel is the mean of samples in it, as many a side as the box needs not to alias
        per_pixel = (2 * half.amax(1) / self.size).round().clamp(1, MOST_SAMPLES).long()
        crops = images.new_empty(rois.shape[0], images.shape[1], self.size, self.size)
        for count in range(1, MOST_SAMPLES + 1):
            rows = (per_pixel == count).nonzero()[:, 0]
            sampled = roi_align(padded, windows[rows], self.size, sampling_ratio=count, aligned=True)
            crops[rows] = sampled.to(crops)
        return crops.contiguous(memory_format=torch.channels_last)


class PooledFeatures(nn.Module, ABC):
    """The size of a RoI tells its level: 224 x 224 pixels that of stride 16 (Lin et al. 2017, FPN, equation 1)."""

    def __init__(self, *, size: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.size, self.strides = size, tuple(strides)

    @abstractmethod
    def pool(self, level: Tensor, rois: Float[Tensor, "r 5"], scale: float) -> Float[Tensor, "r c s s"]: ...

    def forward(
        self, images: Float[Tensor, "b 3 h w"], levels: Sequence[Tensor], rois: Float[Tensor, "r 5"]
    ) -> Float[Tensor, "r c s s"]:
        return self.pooled(levels, rois)

    def pooled(self, levels: Sequence[Tensor], rois: Float[Tensor, "r 5"]) -> Float[Tensor, "r c s s"]:
        """Pool the features of RoIs: no pixel is looked at."""
        used = levels[: len(self.strides)]
        if len(used) == 1:
            return self.pool(used[0], rois, 1 / self.strides[0])
        places = self.places(rois[:, 1:])
        pooled = used[0].new_empty(rois.shape[0], used[0].shape[1], self.size, self.size, dtype=torch.float32)
        for number, (level, stride) in enumerate(zip(used, self.strides, strict=True)):
            rows = (places == number).nonzero()[:, 0]
            pooled[rows] = self.pool(level, rois[rows], 1 / stride).float()
        return pooled

    def places(self, boxes: Float[Tensor, "r 4"]) -> Int64[Tensor, " r"]:
        """Find the index of each box's level."""
        side = (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt()
        level = torch.floor(4 + torch.log2(side / 224) + 1e-6)  # 4 is stride 16
        finest = self.strides[0].bit_length() - 1
        return level.clamp(finest, finest + len(self.strides) - 1).long() - finest


class RoIPool(PooledFeatures):
    """It takes the maximum of each bin (Girshick 2015, "Fast R-CNN", section 2.1)."""

    def pool(self, level: Tensor, rois: Float[Tensor, "r 5"], scale: float) -> Float[Tensor, "r c s s"]:
        pooled: Tensor = roi_pool(level.float(), rois, self.size, scale)  # autocast leaves it alone on CPUs
        return pooled


class RoIAlign(PooledFeatures):
    """It averages two by two samples of each bin (He et al. 2017, "Mask R-CNN", section 3)."""

    def pool(self, level: Tensor, rois: Float[Tensor, "r 5"], scale: float) -> Float[Tensor, "r c s s"]:
        pooled: Tensor = roi_align(level, rois, self.size, scale, sampling_ratio=2)
        return pooled
