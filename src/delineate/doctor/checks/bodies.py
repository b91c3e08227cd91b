"""Checks of keypoints: those of one object, and of the whole set, where left and right show by majority."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from delineate.doctor.checks.objects import cut, has_area, is_placed, of_each, ordered
from delineate.doctor.looking import Look
from delineate.doctor.records import Hit, Size, Thing
from delineate.values import is_left

VISIBLE = 2
FAR = 0.5
"""The share of a box's longer side by which a keypoint may lie out of it."""
FEW, AGREEING = 10, 0.25
"""A pair that agrees with the others in less than this share of so many bodies is exchanged."""


def bad_visibility(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether a visibility is not 0, 1 or 2."""
    return any(seen not in (0, 1, 2) for _, _, seen in thing.keypoints)


def out_of_picture(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether an annotated keypoint lies more than a pixel out of its picture."""
    return any(seen and not is_in(x, y, size) for x, y, seen in thing.keypoints)


def is_in(x: float, y: float, size: Size) -> bool:
    """Tell whether a place is in the picture, or a pixel beside it at most."""
    height, width = size
    return -1 <= x <= width + 1 and -1 <= y <= height + 1


def off_box(thing: Thing, look: Look, size: Size) -> bool:
    """Tell whether a visible keypoint lies far out of the object's box; hidden ones may, as it is of what is seen."""
    if thing.box is None or not is_placed(thing, look, size) or not has_area(cut(thing.box, size)):
        return False
    if bad_visibility(thing, look, size) or out_of_picture(thing, look, size):
        return False
    x1, y1, x2, y2 = ordered(thing.box)
    far = FAR * max(x2 - x1, y2 - y1)
    visible = [(x, y) for x, y, seen in thing.keypoints if seen == VISIBLE]
    return any(not (x1 - far <= x <= x2 + far and y1 - far <= y <= y2 + far) for x, y in visible)


BODIES = (
    of_each("visibility", bad_visibility),
    of_each("keypoints-outside", out_of_picture),
    of_each("keypoints-off-box", off_box),
)


@dataclass
class Bodies:
    """Bodies are counted: how often each keypoint is annotated, and each pair stands as the others do.

    Who shows both eyes faces us, with the left one on our right.
    """

    annotated: Counter[str] = field(default_factory=Counter)
    agreeing: Counter[tuple[str, str]] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    facing: Counter[tuple[str, str]] = field(default_factory=Counter)
    eyes: Counter[tuple[str, str]] = field(default_factory=Counter)
    num_things: int = 0

    def add(self, look: Look) -> None:
        """Count the bodies of a picture."""
        names, order = look.part.keypoint_names, look.part.flip_order
        for thing in look.things:
            if not names or len(thing.keypoints) != len(names):
                continue
            self.num_things += 1
            self.annotated.update(name for name, point in zip(names, thing.keypoints, strict=True) if point[2])
            self._count(thing, names, order)

    def _count(self, thing: Thing, names: Sequence[str], order: Sequence[int]) -> None:
        """Compare each pair's sides with those of the body's other pairs: which is to the left of which."""
        sides = {}
        for left, right in enumerate(order):
            (x, _, seen), (other, _, other_seen) = thing.keypoints[left], thing.keypoints[right]
            if left < right and seen and other_seen and x != other:
                pair = names[left], names[right]
                sides[pair] = x > other
                first_is_left = is_left(*pair)
                if "eye" in pair[0].casefold() and seen == other_seen == VISIBLE and first_is_left is not None:
                    self.eyes[pair] += 1
                    self.facing[pair] += (x > other) == first_is_left
        for pair, side in sides.items():
            others = [value for name, value in sides.items() if name != pair]
            if others and 2 * sum(others) != len(others):
                self.pairs[pair] += 1
                self.agreeing[pair] += side == (2 * sum(others) > len(others))

    def hits(self, names: Sequence[str], split: str) -> Iterator[Hit]:
        """Find keypoints that nobody annotated, and pairs that stand the other way round than most others."""
        for name in names:
            if self.num_things and not self.annotated[name]:
                yield Hit("keypoint-never", split, name)
        for pair, count in self.eyes.items():
            if count >= FEW and self.facing[pair] < AGREEING * count:
                said = f"the left one is on the right of {self.facing[pair]} of {count} bodies that show both"
                yield Hit("left-right", split, f"{pair[0]} and {pair[1]}: {said}, as of all that face us")
        for pair, count in self.pairs.items():
            if count >= FEW and self.agreeing[pair] < AGREEING * count:
                yield Hit(
                    "left-right", split, f"{pair[0]} and {pair[1]}: as others in {self.agreeing[pair]} of {count}"
                )
