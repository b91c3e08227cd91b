"""A system can learn so many objects of a picture, by its anchors, cells, places or queries.

G  objects of a picture    N  anchors of an input
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.ops import box_iou

Size = tuple[int, int]
Objects = Float[Tensor, "_g 4"]
Anchors = Float[Tensor, "_n 4"]
Lost = Callable[[Objects, Size], Bool[Tensor, " _g"]]
"""Takes the objects of a picture, in pixels of an input of `(height, width)`, and tells which are lost."""


class Capacity(NamedTuple):
    """An object is `lost` on a system whose loss gives it nothing of its own to learn by; `why` says what it lacks."""

    lost: Lost
    why: str


def capacity_of_anchors(anchors: Callable[[Size], Anchors], least: float, why: str) -> Capacity:
    """Take an object for lost that no anchor overlaps by `least`: it has negatives alone, but for the best of them.

    `anchors` are those of an input of `(height, width)`.
    """
    of_size = cache(torch.inference_mode()(anchors))

    def lost(objects: Objects, size: Size) -> Bool[Tensor, " _g"]:
        below: Tensor = box_iou(objects, of_size(size)).amax(1) < least
        return below

    return Capacity(lost, why)


def capacity_of_queries(count: int) -> Capacity:
    """Take for lost what is more than one object a query."""
    why = f"it has {count} queries for all in a picture"
    return Capacity(lambda objects, _: torch.arange(len(objects)) >= count, why)
