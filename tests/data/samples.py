"""A small data set in memory with everything that a format may hold, for round trips."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from delineate.data.dataset import Content, Dataset
from delineate.values import IGNORE, Categories, Sample, Target

CATEGORIES = Categories(
    class_names=("person", "ring", "bird"),
    label_map_names=("person", "ring", "bird", "background"),
    keypoint_names=("head", "left_hand", "right_hand"),
    skeleton=((0, 1), (0, 2)),
)
CONTENTS: frozenset[Content] = frozenset({"boxes", "masks", "keypoints", "label_map"})


class InMemory(Dataset):
    """Samples that are no files: their paths name pictures that do not exist."""

    def __init__(
        self,
        samples: Sequence[Sample],
        categories: Categories = CATEGORIES,
        contents: frozenset[Content] = CONTENTS,
    ) -> None:
        self.samples = samples
        self.categories = categories
        self.contents = contents
        self.files = [Path(sample.file) for sample in samples]

    def size(self, index: int) -> tuple[int, int]:
        return self.samples[index].target.image_size

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return self.samples[index].target

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


def everything() -> InMemory:
    """Three pictures: a person of two parts, a ring with a hole and a crowd of birds; a difficult bird; nothing."""
    return InMemory([_busy(), _difficult(), _empty()])


def _busy() -> Sample:
    size = (48, 64)
    two_parts = _rectangle(size, 4, 4, 14, 24) | _rectangle(size, 4, 30, 14, 40)
    ring = _rectangle(size, 20, 8, 44, 32) & ~_rectangle(size, 26, 14, 38, 26)
    crowd = _rectangle(size, 46, 2, 64, 46)
    masks = torch.stack([two_parts, ring, crowd])
    label_map = torch.full(size, 3)
    for value, mask in zip((0, 1, IGNORE), masks, strict=True):
        label_map[mask] = value
    keypoints = torch.zeros(3, 3, 2)
    keypoints[0, 0] = torch.tensor([9.5, 6.25])
    keypoints[0, 1] = torch.tensor([5.0, 16.0])
    target = Target(
        image_size=size,
        boxes=torch.tensor([[4.0, 4, 14, 40], [20, 8, 44, 32], [46, 2, 64, 46]]),
        labels=torch.tensor([0, 1, 2]),
        masks=masks,
        keypoints=keypoints,
        visibility=torch.tensor([[2, 1, 0], [0, 0, 0], [0, 0, 0]]),
        crowd=torch.tensor([False, False, True]),
        label_map=label_map,
    )
    return Sample(image=_noise(size, 1), target=target, file="nowhere/busy.png")


def _difficult() -> Sample:
    size = (40, 40)
    mask = _rectangle(size, 10, 20, 30, 36)
    target = Target(
        image_size=size,
        boxes=torch.tensor([[10.0, 20, 30, 36]]),
        labels=torch.tensor([2]),
        masks=mask[None],
        keypoints=torch.zeros(1, 3, 2),
        visibility=torch.zeros(1, 3, dtype=torch.int64),
        difficult=torch.tensor([True]),
        label_map=torch.full(size, 3).masked_fill(mask, 2),
    )
    return Sample(image=_noise(size, 2), target=target, file="nowhere/difficult.png")


def _empty() -> Sample:
    size = (32, 56)
    target = Target(
        image_size=size,
        masks=torch.zeros(0, *size, dtype=torch.bool),
        keypoints=torch.zeros(0, 3, 2),
        visibility=torch.zeros(0, 3, dtype=torch.int64),
        label_map=torch.full(size, 3),
    )
    return Sample(image=_noise(size, 3), target=target, file="nowhere/empty.png")


def _rectangle(size: tuple[int, int], x1: int, y1: int, x2: int, y2: int) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def _noise(size: tuple[int, int], seed: int) -> Tensor:
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def assert_targets_equal(actual: Target, expected: Target, *fields: str) -> None:
    """The named fields (all of them when none is named) hold the same values."""
    every = ("boxes", "labels", "masks", "keypoints", "visibility", "crowd", "difficult", "label_map")
    assert actual.image_size == expected.image_size
    for field in fields or every:
        here, there = getattr(actual, field), getattr(expected, field)
        assert (here is None) == (there is None), field
        if there is not None:
            torch.testing.assert_close(here, there, rtol=0, atol=0, msg=lambda text, field=field: f"{field}: {text}")
