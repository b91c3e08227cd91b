"""Arithmetic on boxes `x1 y1 x2 y2`: coded relative to other boxes, and covered by other boxes.

N      boxes; the references have one row a box
deltas `(dx, dy, dw, dh)`: centres moved in units of the reference's size, sizes as logarithms of their ratio
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

LARGEST_RATIO = math.log(1000 / 16)
"""No box is decoded larger than its reference by more than this, in logarithms: `exp` must not overflow."""

Weights = tuple[float, float, float, float]


def encode_boxes(
    boxes: Float[Tensor, "*b n 4"], references: Float[Tensor, "*#b n 4"], weights: Weights
) -> Float[Tensor, "*b n 4"]:
    """Compute the deltas that lead from each reference to a box, times the weights.

    Sizes must be above zero. Girshick et al. 2014, R-CNN, appendix C.
    """
    size = boxes[..., 2:] - boxes[..., :2]
    reference_size = references[..., 2:] - references[..., :2]
    offset = boxes[..., :2] + 0.5 * size - (references[..., :2] + 0.5 * reference_size)
    deltas = torch.cat([offset / reference_size, torch.log(size / reference_size)], -1)
    return deltas * deltas.new_tensor(weights)


def decode_boxes(
    deltas: Float[Tensor, "*b n 4"], references: Float[Tensor, "*#b n 4"], weights: Weights
) -> Float[Tensor, "*b n 4"]:
    """Follow the deltas from each reference to a box, in float32: the inverse of `encode_boxes`."""
    deltas, references = deltas.float(), references.float()
    deltas = deltas / deltas.new_tensor(weights)
    reference_size = references[..., 2:] - references[..., :2]
    centre = references[..., :2] + 0.5 * reference_size + deltas[..., :2] * reference_size
    half = 0.5 * reference_size * deltas[..., 2:].clamp(max=LARGEST_RATIO).exp()
    return torch.cat([centre - half, centre + half], -1)


def coverage(boxes: Float[Tensor, "n 4"], regions: Float[Tensor, "m 4"]) -> Float[Tensor, " n"]:
    """Measure the largest share of each box's area that lies in one region; it is 0 where there are no regions."""
    if not regions.shape[0]:
        return torch.zeros_like(boxes[:, 0])
    top_left = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared.amax(1) / areas.clamp(min=1e-9)


def paired_iou(boxes: Float[Tensor, "*n 4"], others: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """Measure the IoU of each box with the other one of the same row; it is 0 for boxes without area."""
    shared = (torch.minimum(boxes[..., 2:], others[..., 2:]) - torch.maximum(boxes[..., :2], others[..., :2])).clamp(0)
    intersection = shared.prod(-1)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1) + (others[..., 2:] - others[..., :2]).prod(-1)
    return intersection / (areas - intersection).clamp(min=1e-9)


def scale_boxes(boxes: Float[Tensor, "n 4"], before: tuple[int, int], after: tuple[int, int]) -> Float[Tensor, "n 4"]:
    """Move the boxes of a picture of `(height, width)` before into the same picture resized to that after."""
    height, width = after
    ratio = boxes.new_tensor([width / before[1], height / before[0]]).repeat(2)
    return (boxes * ratio).minimum(boxes.new_tensor([width, height]).repeat(2))
