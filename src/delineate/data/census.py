"""A census counts what is in a data set before anything is learned from it, or measured on it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from delineate.data.dataset import Dataset
from delineate.values import IGNORE, InputError, counted, listed

NUM_REASONS = 3
"""So many lines of what a reader left out are shown where nothing is left."""
MUCH = 0.1
"""A share of ignored pixels that is worth a question where a class never occurs."""


@dataclass(frozen=True, kw_only=True)
class Census:
    """A census has the objects of a data set that count, or where there are label maps alone, pixels of some of them.

    `counts` are the objects of each picture, `classes` the objects or pixels of each class. `num_small` objects are
    less than a pixel wide or high once pictures are resized, most of them to `size`: those are not learned. `num_posed`
    objects have `num_joints` annotated keypoints. `num_ignored` pixels of `num_maps` label maps mean nothing.
    `unreadable` has a line for each picture that cannot be read, or whose annotation cannot.
    """

    num_pictures: int
    classes: Mapping[str, int]
    counts: Sequence[int] = ()
    num_crowds: int = 0
    num_difficult: int = 0
    num_small: int = 0
    size: tuple[int, int] | None = None
    num_posed: int | None = None
    num_joints: int = 0
    num_maps: int | None = None
    num_ignored: int = 0
    unreadable: Sequence[str] = ()

    @property
    def total(self) -> int:
        """Count the objects, or the pixels of label maps, that count."""
        return sum(self.classes.values())

    @property
    def most(self) -> int:
        """The fullest picture has so many objects."""
        return max(self.counts, default=0)

    @property
    def absent(self) -> list[str]:
        """List the classes that never occur."""
        return [name for name, count in self.classes.items() if not count]

    def line(self, split: str) -> str:
        """Say what is in the split, in one line."""
        return f"{split}: {', '.join((counted(self.num_pictures, 'picture'), *self._amounts(), *self._left_out()))}"

    def remarks(self, split: str) -> list[str]:
        """Say which classes never occur, as nothing can be learned of them."""
        if not self.absent or not self.total:
            return []
        names, others = listed(self.absent), self.num_ignored / (self.num_ignored + self.total)
        if self.num_maps is None:
            return [f"{split}: no object of {names}"]
        question = f", and {others:.0%} of the pixels are ignored: is a value not what was meant?" * (others > MUCH)
        return [f"{split}: no pixel of {names} in {counted(self.num_maps, 'label map')}{question}"]

    def lacks(self, purpose: Literal["learn", "measure"]) -> str:
        """Say why nothing can be learned, or measured; nothing where something can."""
        if not self.total:
            return self._nothing()
        if purpose == "learn" and self.num_small == self.total and self.size:
            few = f"all {counted(self.total, 'object')} are below a pixel at {self.size[0]} x {self.size[1]}"
            return f"{few}; choose a larger --image-size or --short-side"
        if purpose == "learn" and self.num_posed == 0:
            return f"none of {counted(self.total, 'object')} has an annotated keypoint"
        return ""

    def _nothing(self) -> str:
        if self.unreadable and len(self.unreadable) >= len(self.counts):
            return f"no picture can be read: {self.unreadable[0]}"
        if self.num_maps is not None:
            return f"every pixel of {counted(self.num_maps, 'label map')} is ignored ({IGNORE})"
        if self._set_aside:
            return f"of {' and '.join(self._set_aside)} none counts"
        if not self.num_pictures:
            return "there is no picture" if self.num_posed is None else "no object has an annotated keypoint"
        return f"there is no object in {counted(self.num_pictures, 'picture')}"

    def _amounts(self) -> Iterator[str]:
        ordered = sorted(self.classes.items(), key=lambda item: -item[1])
        if self.num_maps is not None:
            everything = max(1, self.total + self.num_ignored)
            shares = [f"{name} {count / everything:.1%}" for name, count in ordered if count]
            yield f"pixels of {counted(self.num_maps, 'label map')}: {listed(shares, 5) or 'none that count'}"
            if self.num_ignored:
                yield f"{self.num_ignored / everything:.1%} ignored"
            return
        of_classes = listed([f"{name} {count:,}" for name, count in ordered if count], 5)
        yield counted(self.total, "object") + (f" ({of_classes})" if of_classes else "")
        if self.num_posed is not None:
            yield f"{self.num_posed:,} of them with {counted(self.num_joints, 'keypoint')}"

    def _left_out(self) -> Iterator[str]:
        num_empty = self.counts.count(0) - len(self.unreadable)
        if num_empty > 0:
            what = "an object that counts" if self._set_aside else "annotation"
            yield f"{counted(num_empty, 'picture')} without {what}"
        yield from self._set_aside
        if self.num_small and self.size:
            yield f"{counted(self.num_small, 'object')} below a pixel at {self.size[0]} x {self.size[1]}"
        if self.unreadable:
            yield f"{counted(len(self.unreadable), 'picture')} that cannot be read"

    @property
    def _set_aside(self) -> list[str]:
        """Count what is neither learned nor measured."""
        kinds = {"crowd": self.num_crowds, "difficult object": self.num_difficult}
        return [counted(count, kind) for kind, count in kinds.items() if count]


def check_census(census: Census, dataset: Dataset, source: str, purpose: Literal["learn", "measure"]) -> None:
    """Raise `InputError` if nothing can be learned, or measured.

    It says where annotations were looked for, and what the reader left out.
    """
    reason = census.lacks(purpose)
    if not reason:
        return
    if not len(dataset):  # of the bodies in pictures there are none
        dataset = getattr(dataset, "whole", dataset)
    file = dataset.annotation_file(0)
    missing = "" if file.exists() else ", which is not there"
    verb = "learn from" if purpose == "learn" else "measure on"
    left_out = "".join(f"; {problem}" for problem in dataset.problems[:NUM_REASONS])
    raise InputError(
        f"{source}: nothing to {verb}: {reason}; the annotation of the first, {dataset.files[0]}, was looked for in "
        f"{file}{missing}{left_out}"
    )
