"""Masks at rest (COCO's run-length encoding) and masks painted over one another."""

from collections.abc import Sequence
from typing import Any, TypedDict

import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.ops import masks_to_boxes


class RLE(TypedDict):
    """COCO's compressed run-length encoding of one mask, as JSON holds it; `size` is `[height, width]`."""

    size: list[int]
    counts: str


def encode_rle(masks: Bool[Tensor, "n h w"]) -> list[RLE]:
    """Encode each mask as a compressed RLE; parts, holes and emptiness survive."""
    if not len(masks):
        return []
    # The encoder reads (h, w, n) in Fortran's order, which is (n, w, h) in ours.
    columns = masks.transpose(1, 2).contiguous().view(torch.uint8).cpu().numpy().transpose(2, 1, 0)
    rles: list[dict[str, Any]] = coco_masks.encode(columns)
    return [RLE(size=list(rle["size"]), counts=rle["counts"].decode()) for rle in rles]


def decode_rle(rles: Sequence[RLE], image_size: tuple[int, int]) -> Bool[Tensor, "n h w"]:
    """Decode the masks of a picture of `(height, width)`.

    Raises `ValueError` for an RLE of another size or one that does not fill its size.
    """
    height, width = image_size
    for row, rle in enumerate(rles):
        if tuple(rle["size"]) != image_size:
            raise ValueError(f"mask {row}: its (height, width) is {tuple(rle['size'])}, the picture's is {image_size}")
    if not rles:
        return torch.zeros(0, height, width, dtype=torch.bool)
    columns = torch.from_numpy(coco_masks.decode(list(rles)))
    return columns.permute(2, 0, 1).contiguous().view(torch.bool)


def boxes_of_masks(masks: Bool[Tensor, "n h w"]) -> Float[Tensor, "n 4"]:
    """Find the smallest box around each mask, of which each has a pixel."""
    boxes: Tensor = masks_to_boxes(masks)
    boxes[:, 2:] += 1  # torchvision's end at the last pixel, ours behind it
    return boxes


def paint_label_map(masks: Bool[Tensor, "n h w"], values: Int64[Tensor, " n"], background: int) -> Int64[Tensor, "h w"]:
    """Give each pixel the value of the smallest mask that covers it, or `background` where none does."""
    label_map = torch.full(masks.shape[1:], background, dtype=torch.int64, device=masks.device)
    areas = [int(mask.count_nonzero()) for mask in masks]
    for row in sorted(range(len(areas)), key=areas.__getitem__, reverse=True):
        label_map.masked_fill_(masks[row], int(values[row]))
    return label_map
