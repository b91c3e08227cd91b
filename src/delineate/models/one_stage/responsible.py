"""Which cell answers for an object: that in which its centre lies."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def centre_cells(
    boxes: Float[Tensor, "n 4"], grid: tuple[int, int], image_size: tuple[int, int]
) -> tuple[Int64[Tensor, " n"], Float[Tensor, "n 2"]]:
    """The cell of a `(rows, columns)` grid over the picture in which each box has its centre, counted row by row.

    Beside it the centre's `(x, y)` within the cell, 0..1.
    """
    rows, columns = grid
    sides = boxes.new_tensor([image_size[1] / columns, image_size[0] / rows])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / sides
    x, y = centres.long().unbind(1)
    x, y = x.clamp(max=columns - 1), y.clamp(max=rows - 1)  # a centre on the border
    return y * columns + x, centres - torch.stack([x, y], 1)


def first_of_each(values: Int64[Tensor, " n"]) -> tuple[Int64[Tensor, " m"], Int64[Tensor, " m"]]:
    """The different values, and where each stands first."""
    different, places = torch.unique(values, return_inverse=True)
    first = torch.full_like(different, len(values))
    return different, first.scatter_reduce(0, places, torch.arange(len(values), device=values.device), "amin")
