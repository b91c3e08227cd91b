"""The cell answers for an object in which the centre lies.

O  objects of all pictures of a batch
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.nn.matching import IGNORED_COVER
from delineate.ops.boxes import coverage
from delineate.values import Truth


class CellObjects(NamedTuple):
    """The objects of a batch stand in one list: the row of the picture that each is in, a box and a label."""

    pictures: Int64[Tensor, " o"]
    boxes: Float[Tensor, "o 4"]
    labels: Int64[Tensor, " o"]

    @classmethod
    def of(cls, truths: Sequence[Truth]) -> "Objects":
        """List the objects of all pictures, picture by picture."""
        pictures = [torch.full_like(truth.labels, row) for row, truth in enumerate(truths)]
        boxes, labels = [truth.boxes for truth in truths], [truth.labels for truth in truths]
        return cls(torch.cat(pictures), torch.cat(boxes), torch.cat(labels))


def centre_cells(
    boxes: Float[Tensor, "o 4"], grid: tuple[int, int], image_size: tuple[int, int]
) -> tuple[Int64[Tensor, " o"], Float[Tensor, "o 2"]]:
    """Find the cell of a `(rows, columns)` grid over the picture in which each box has its centre, counted row by row.

    Beside it stands the centre's `(x, y)` within the cell, 0..1.
    """
    rows, columns = grid
    sides = boxes.new_tensor([image_size[1] / columns, image_size[0] / rows])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / sides
    x, y = centres.long().unbind(1)
    x, y = x.clamp(max=columns - 1), y.clamp(max=rows - 1)  # a centre on the border
    return y * columns + x, centres - torch.stack([x, y], 1)


def first_of_each(values: Int64[Tensor, " o"]) -> Bool[Tensor, " o"]:
    """Tell which values no earlier one equals."""
    return ~(values[:, None] == values).tril(-1).any(1)


def not_ignored(predicted: Float[Tensor, "b n 4"], truths: Sequence[Truth]) -> Bool[Tensor, "b n"]:
    """Tell which boxes may be negatives: those that no crowd or difficult object covers."""
    pairs = zip(predicted, truths, strict=True)
    return torch.stack([coverage(boxes, truth.ignored) <= IGNORED_COVER for boxes, truth in pairs])
