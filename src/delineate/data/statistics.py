"""Statistics of a data set's pictures: usual sizes, sizes of objects, frequencies of classes."""

from collections.abc import Iterator
from statistics import median
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from delineate.data.dataset import Dataset, each_readable, targets
from delineate.data.preprocess import Preprocess
from delineate.data.splits import spread
from delineate.values import IGNORE, InputError, Sample

LARGEST_CROP = 512
LARGEST_OF_OBJECTS = 640
"""A window's border cuts objects, but no pixel: where objects count, a usual picture of 480 x 640 is a window."""


class Statistics:
    """A system asks for statistics of the pictures that it is going to learn from (`models.contract.TrainingPictures`).

    A picture that cannot be read raises `InputError`, or is passed over with `skip_unreadable`.
    """

    def __init__(
        self,
        dataset: Dataset,
        preprocess: Preprocess,
        *,
        class_weights: Literal["none", "median_frequency"] = "none",
        shapes_chosen: bool = False,
        skip_unreadable: bool = False,
    ) -> None:
        self.dataset, self.preprocess, self.shapes_chosen = dataset, preprocess, shapes_chosen
        self.weighting, self.skip_unreadable = class_weights, skip_unreadable

    def object_sizes(self) -> Float[Tensor, "n 2"] | None:
        """Measure all objects as `object_sizes` does; `None` with `shapes_chosen`."""
        if self.shapes_chosen:
            return None
        return object_sizes(self.dataset, self.preprocess, skip_unreadable=self.skip_unreadable)

    def keypoint_classes(self) -> Bool[Tensor, " c"]:
        """Find the classes of which an object has an annotated keypoint."""
        classes = torch.zeros(self.dataset.categories.num_classes, dtype=torch.bool)
        for _, target in targets(self.dataset, [] if self.skip_unreadable else None):
            if target.visibility is not None:
                classes[target.labels[(target.visibility > 0).any(1) & ~target.ignored]] = True
        return classes

    def class_weights(self) -> Float[Tensor, " c"] | None:
        """Weigh the values of label maps; `None` where all are equal."""
        if self.weighting == "none":
            return None
        return median_frequency_weights(self.dataset, skip_unreadable=self.skip_unreadable)


def object_sizes(dataset: Dataset, preprocess: Preprocess, *, skip_unreadable: bool) -> Float[Tensor, "n 2"]:
    """Measure the `(width, height)` of objects, but crowds and difficult ones, in pixels of the resized pictures."""
    sizes = [torch.zeros(0, 2)]
    for _, target in targets(dataset, [] if skip_unreadable else None):
        sizes.append(preprocess.resized_sides(target.boxes[~target.ignored], target.image_size))
    return torch.cat(sizes)


def usual_size(dataset: Dataset, preprocess: Preprocess, largest: int, *, skip_unreadable: bool) -> tuple[int, int]:
    """Find the median `(height, width)` of up to 32 pictures after resizing, in multiples of 32 up to `largest`."""
    sizes = [preprocess.resized(sample.target.image_size) for sample in _samples(dataset, 32, skip_unreadable)]
    if not sizes:
        raise InputError(f"{dataset.files[0]}: neither this nor other pictures of the split can be read")
    height, width = (int(median(sides)) // 32 * 32 for sides in zip(*sizes, strict=True))
    return min(max(height, 32), largest), min(max(width, 32), largest)


def median_frequency_weights(dataset: Dataset, *, skip_unreadable: bool) -> Float[Tensor, " c"]:
    """Weigh classes by `median(f) / f`; `f` is a class's share of the pixels of the pictures that it occurs in.

    Eigen & Fergus 2015, section 6.1. Of more than 500 pictures, 500 at equal distances are counted. A class that does
    not occur has weight 1.
    """
    num_classes = len(dataset.categories.label_map_names)
    pixels, seen_with = torch.zeros(num_classes, dtype=torch.float64), torch.zeros(num_classes, dtype=torch.float64)
    for sample in _samples(dataset, 500, skip_unreadable):
        assert sample.target.label_map is not None
        counted = sample.target.label_map[sample.target.label_map != IGNORE]
        counts = torch.bincount(counted, minlength=num_classes)
        pixels += counts
        seen_with += (counts > 0) * counts.sum()
    frequency = pixels / seen_with.clamp(min=1)
    occurs = frequency > 0
    weights = frequency[occurs].quantile(0.5) / frequency if occurs.any() else frequency
    return weights.where(occurs, 1.0).float()


def _samples(dataset: Dataset, count: int, skip_unreadable: bool) -> Iterator[Sample]:
    """Read up to `count` samples at equal distances."""
    indices = spread(len(dataset), count)
    return (sample for _, sample in each_readable(dataset.__getitem__, indices, [] if skip_unreadable else None))
