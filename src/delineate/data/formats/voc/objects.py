"""Objects of Pascal VOC's XML files are put into their pictures; what does not fit there is left out and said."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from delineate.data.formats.voc.xml import Object
from delineate.data.images import is_turned
from delineate.data.pairing import UNTURN
from delineate.values import counted, listed

OUTSIDE = 0.25
"""Where more objects than this share lie for the most part outside, their pictures are others."""

SWAPPED = "whose corners are exchanged, put right"
AGAIN = "that are there a second time, kept once"
FLAT = "without area in their picture, left out"
RELATIVE = (
    "whose corners all lie in 0..1, left out: these are parts of the picture, and VOC has pixels; multiply x by the "
    "width and y by the height"
)
BEYOND = (
    "that lie outside of their picture for the most part, as if it had had another size when it was annotated: take "
    "the pictures that were annotated, or scale the boxes"
)


def boxes_in(objects: Sequence[Object], image_size: tuple[int, int]) -> Float[Tensor, "n 4"]:
    """Clip the boxes to the picture."""
    height, width = image_size
    boxes = torch.tensor([thing.box for thing in objects], dtype=torch.float32).view(-1, 4)
    return boxes.clamp(min=torch.zeros(4), max=torch.tensor([width, height, width, height], dtype=torch.float32))


def with_area(boxes: Float[Tensor, "n 4"]) -> Bool[Tensor, " n"]:
    """Tell which boxes exceed one pixel: VOC writes the same numbers for a single pixel and for no area at all."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides > 0).all(1) & (sides > 1).any(1)


def first_of_equals(objects: Sequence[Object]) -> Bool[Tensor, " n"]:
    """Tell which objects are not there a second time, of the same name and box."""
    seen = [(thing.name, thing.box) for thing in objects]
    return torch.tensor([seen.index(one) == row for row, one in enumerate(seen)], dtype=torch.bool)


def relative(corners: Float[Tensor, "n 4"]) -> Bool[Tensor, " n"]:
    """Tell which boxes, not yet clipped, have corners in 0..1 that are no pixels; the first pixel's edge became -1."""
    return (corners >= torch.tensor([-1, -1, 0, 0])).all(1) & (corners <= 1).all(1) & (corners % 1 != 0).any(1)


@dataclass
class Tally:
    """A tally collects what is said of a split's objects: each kind in one line, with a count and the first places."""

    folder: Path
    num_objects: int = 0
    places: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    turned: list[str] = field(default_factory=list)

    def add(
        self, file: Path, xml: Path, objects: Sequence[Object], image_size: tuple[int, int], is_merged: bool
    ) -> None:
        """Look at the objects of one picture, whose equal ones are merged or not."""
        if not objects:
            return
        self.num_objects += len(objects)
        boxes = boxes_in(objects, image_size)
        whole = torch.tensor([thing.box for thing in objects]).view(-1, 4)
        parts = relative(whole)
        outside = ~parts & ((boxes[:, 2:] - boxes[:, :2]).prod(1) < 0.5 * (whole[:, 2:] - whole[:, :2]).prod(1))
        found = {
            SWAPPED: [thing.swapped for thing in objects],
            AGAIN: [is_merged and not first for first in first_of_equals(objects).tolist()],
            RELATIVE: parts.tolist(),
            FLAT: (~parts & ~with_area(boxes)).tolist(),
            BEYOND: outside.tolist(),
        }
        for kind, rows in found.items():
            here = (row for row, is_found in enumerate(rows) if is_found)
            self.places[kind] += [f"object {row + 1} ({objects[row].name}) of {xml.name}" for row in here]
        if outside.any() and is_turned(file):
            self.turned.append(file.name)

    def lines(self) -> Iterator[str]:
        """Give the lines."""
        for kind, places in self.places.items():
            if len(places) > (OUTSIDE * self.num_objects if kind == BEYOND else 0):
                yield f"{self.folder}: {len(places)} of {counted(self.num_objects, 'object')} {kind}: {listed(places)}"
        if self.turned:
            yield (
                f"{self.folder}: {counted(len(self.turned), 'picture')} turned by EXIF with objects outside, as if "
                f"annotated as stored; {UNTURN}: {listed(self.turned)}"
            )
