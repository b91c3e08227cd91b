"""Masks at rest (COCO's run-length encoding) and masks painted over one another."""

from collections.abc import Sequence
from typing import Any, TypedDict

import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F
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


def moved_rle(rle: RLE, place: tuple[int, int], image_size: tuple[int, int]) -> RLE:
    """Put the mask of a part of a picture at `place` `(y, x)` of the picture, which is never decoded itself."""
    part, (height, width) = decode_rle([rle], (rle["size"][0], rle["size"][1]))[0], image_size
    edges = F.pad(part.T.to(torch.int8), (1, 1)).diff(dim=1)  # 1 where a column's run begins, -1 behind its end
    begins, ends = (
        (place[1] + x) * height + place[0] + y for x, y in ((edges == sign).nonzero().T for sign in (1, -1))
    )
    going_on = begins[1:] == ends[:-1]  # from the foot of a column to the top of the next
    keep = torch.ones(len(begins), dtype=torch.bool)
    keep[1:] = ~going_on
    last = torch.ones_like(keep)
    last[:-1] = ~going_on
    flips = torch.stack([begins[keep], ends[last]], 1).flatten()
    flips = flips[flips < height * width]
    runs = torch.cat([flips.new_zeros(1), flips, flips.new_full((1,), height * width)]).diff()
    moved: dict[str, Any] = coco_masks.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return RLE(size=[height, width], counts=moved["counts"].decode())


def sampled_rle(rle: RLE, rows: Int64[Tensor, " h"], columns: Int64[Tensor, " w"]) -> Bool[Tensor, "h w"]:
    """Tell which pixels of a grid of rows and columns lie in a mask, which is not decoded."""
    x, y, width, height = map(int, coco_masks.toBbox([rle])[0])
    down, across = (rows >= y) & (rows < y + height), (columns >= x) & (columns < x + width)
    inside = torch.zeros(len(rows), len(columns), dtype=torch.bool)
    places = columns[across] * rle["size"][0] + rows[down][:, None]
    inside[down[:, None] & across] = (torch.searchsorted(flips_of(rle), places, right=True) % 2 == 1).flatten()
    return inside


def flips_of(rle: RLE) -> Int64[Tensor, " f"]:
    """List the pixels, counted down the columns, at which a mask begins and ends in turn."""
    runs: list[int] = []
    value = shift = 0
    for character in rle[
        "counts"
    ].encode():  # five bits a character, as LEB128; from the third on a run is a difference
        value |= ((character - 48) & 0x1F) << shift
        shift += 5
        if (character - 48) & 0x20:
            continue
        signed = value - (1 << shift) if value & (1 << (shift - 1)) else value
        runs.append(signed + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return torch.tensor(runs, dtype=torch.int64).cumsum(0)


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
