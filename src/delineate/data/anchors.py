"""The anchors of a data set are the shapes that its objects have."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.preprocess import Preprocess
from delineate.data.statistics import object_sizes
from delineate.ops.anchors import cluster_shapes, shape_iou
from delineate.values import InputError, counted


@dataclass(frozen=True, kw_only=True, eq=False)
class Anchors:
    """Anchors have sizes `(width, height)` in pixels of the resized pictures, small to large, and a fit to the objects.

    `shares` are those of the objects to which each anchor is nearest, `mean_iou` is that of the objects with their
    nearest anchor, both around one centre.
    """

    sizes: Float[Tensor, "k 2"]
    shares: Float[Tensor, " k"]
    mean_iou: float
    num_objects: int


def find_anchors(dataset: Dataset, preprocess: Preprocess, count: int, *, seed: int = 0) -> Anchors:
    """Cluster all objects but crowds and difficult ones into `count` anchors, by k-means.

    Raises `InputError` where there are fewer different sizes of objects than anchors.
    """
    sizes = object_sizes(dataset, preprocess, skip_unreadable=False)
    try:
        anchors = cluster_shapes(sizes, count, seed=seed)
    except ValueError as error:
        raise InputError(
            f"anchors: {error}; {counted(len(dataset), 'picture')} with {counted(len(sizes), 'object')}"
        ) from None
    iou, nearest = shape_iou(sizes, anchors).max(1)
    shares = torch.bincount(nearest, minlength=count) / len(sizes)
    return Anchors(sizes=anchors, shares=shares, mean_iou=float(iou.mean()), num_objects=len(sizes))
