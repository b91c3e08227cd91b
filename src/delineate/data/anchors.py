"""The anchors of a data set: the shapes that its objects have."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.images import image_size
from delineate.data.preprocess import Preprocess
from delineate.ops.anchors import cluster_shapes, shape_iou
from delineate.values import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Anchors:
    """`(width, height)` in pixels of the resized pictures, small to large, and how well they fit the objects.

    `shares` are those of the objects to which each anchor is nearest, `mean_iou` is that of the objects with their
    nearest anchor, both around one centre.
    """

    sizes: Float[Tensor, "k 2"]
    shares: Float[Tensor, " k"]
    mean_iou: float
    num_objects: int

    @property
    def described(self) -> str:
        """The sizes in a line."""
        return ", ".join(f"{width:.0f} x {height:.0f}" for width, height in self.sizes.tolist())


def find_anchors(
    dataset: Dataset, preprocess: Preprocess, count: int, *, seed: int = 0, skip_unreadable: bool = False
) -> Anchors:
    """The `count` anchors that k-means finds among all objects but crowds and difficult ones.

    Raises `InputError` where there are fewer different sizes of objects than anchors.
    """
    sizes = object_sizes(dataset, preprocess, skip_unreadable=skip_unreadable)
    try:
        found = cluster_shapes(sizes, count, seed=seed)
    except ValueError as error:
        raise InputError(f"anchors: {error}; the {len(dataset)} pictures hold {len(sizes)} objects") from None
    iou, nearest = shape_iou(sizes, found).max(1)
    shares = torch.bincount(nearest, minlength=count) / len(sizes)
    return Anchors(sizes=found, shares=shares, mean_iou=float(iou.mean()), num_objects=len(sizes))


def object_sizes(dataset: Dataset, preprocess: Preprocess, *, skip_unreadable: bool) -> Float[Tensor, "n 2"]:
    """The `(width, height)` of all objects in the resized pictures, of which the headers alone are read."""
    sizes = [torch.zeros(0, 2)]
    for index, file in enumerate(dataset.files):
        try:
            before = image_size(file)
            target = dataset.target(index, before)
        except InputError:
            if not skip_unreadable:
                raise
            continue
        after = preprocess.resized(before)
        boxes = target.boxes[~target.ignored]
        sizes.append((boxes[:, 2:] - boxes[:, :2]) * torch.tensor([after[1] / before[1], after[0] / before[0]]))
    return torch.cat(sizes)
