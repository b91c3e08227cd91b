"""Each annotated body of a data set becomes a picture of its own: the crop from which its pose is regressed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from delineate.data.dataset import Dataset, left_out_of, not_readable, targets
from delineate.data.transforms import pad, resized_crop
from delineate.values import Categories, Sample, Target

CONTEXT = 1.25
"""A crop's side is this many longer sides of the body's box."""


class Bodies(Dataset):
    """A crop is a square around an object with an annotated keypoint; others in it are left out of the target.

    What of a crop lies outside of the picture is the mean colour. There is one class: what has keypoints.
    """

    def __init__(self, whole: Dataset, *, skip_unreadable: bool = False) -> None:
        """Find the bodies; an annotation that cannot be read raises `InputError`, or is left out and said."""
        self.whole = whole
        self.rows: list[tuple[int, int]] = []
        classes: set[int] = set()
        self.unreadable: list[str] = []
        for index, target in targets(whole, self.unreadable):
            for row in annotated(target):
                self.rows.append((index, row))
                classes.add(int(target.labels[row]))
        if self.unreadable and not skip_unreadable:
            raise not_readable(self.unreadable)
        self.files: Sequence[Path] = [whole.files[index] for index, _ in self.rows]
        names = sorted(whole.categories.class_names[label] for label in classes)
        self.categories = Categories(
            class_names=(" or ".join(names) or "body",),
            keypoint_names=whole.categories.keypoint_names,
            skeleton=whole.categories.skeleton,
            flip_order=whole.categories.flip_order,
        )
        self.contents = frozenset({"boxes", "keypoints"})

    @property
    def problems(self) -> Sequence[str]:  # type: ignore[override]  # a reader may read all files to know them
        return [*self.whole.problems, *([left_out_of(self.unreadable)] if self.unreadable else [])]

    def groups(self) -> Int64[Tensor, " p"] | None:
        groups = self.whole.groups()
        return None if groups is None else groups[torch.tensor([index for index, _ in self.rows], dtype=torch.int64)]

    def size(self, index: int) -> tuple[int, int]:
        return self.whole.size(self.rows[index][0])

    def check_picture(self, index: int) -> None:
        self.whole.check_picture(self.rows[index][0])

    def annotation_file(self, index: int) -> Path:
        return self.whole.annotation_file(self.rows[index][0])

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        """Give the body alone, in the coordinates of its whole picture."""
        picture, row = self.rows[index]
        target = replace(self.whole.target(picture, image_size), masks=None, label_map=None)
        body = target[torch.tensor([row])]
        return replace(body, labels=torch.zeros(1, dtype=torch.int64))

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        return cropped(sample, sample.target.boxes[0])


def annotated(target: Target) -> list[int]:
    """Find the rows of the objects that have an annotated keypoint and count."""
    if target.visibility is None:
        return []
    rows: list[int] = ((target.visibility > 0).any(1) & ~target.ignored).nonzero()[:, 0].tolist()
    return rows


def square_around(box: Float[Tensor, "4"]) -> tuple[int, int, int]:
    """Put a square around a body and its context: left, top and side in whole pixels, of which some may lie outside."""
    side = max(1, round(CONTEXT * float((box[2:] - box[:2]).max())))
    left, top = (round(float(middle) - side / 2) for middle in (box[:2] + box[2:]) / 2)
    return left, top, side


def cropped(sample: Sample, box: Float[Tensor, "4"]) -> Sample:
    """Cut the square around a box and its context, padded where it leaves the picture."""
    height, width = sample.target.image_size
    left, top, side = square_around(box)
    window = max(0, top), max(0, left), min(height, top + side), min(width, left + side)
    size = window[2] - window[0], window[3] - window[1]
    inside = resized_crop(sample, (window[0], window[1], *size), size)
    return pad(inside, (side, side), (window[0] - top, window[1] - left))
