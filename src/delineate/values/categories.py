"""Categories: the names behind the numbers of a data set or a checkpoint."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from delineate.values.errors import InputError

BACKGROUND = "background"

OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l", "左": "右", "右": "左"}
WORDS_OF_SIDES = re.compile("left|right|左|右", re.IGNORECASE)
LETTERS_OF_SIDES = re.compile(r"(?<![^\W_]) [LRlr] (?![^\W_\d])", re.VERBOSE)
"""They stand alone: `L_LEG`, `eye-l`, `l1`."""
LETTERS_AFTER_ONE = re.compile(r"(?<= (?<![^\W_]) [FBHMRfbhmr]) [LRlr] (?![^\W_\d])", re.VERBOSE)
"""The letter of front, back, hind, middle or rear is before them: `FL_paw`, `rl`; `Al` and `Ar` are no sides."""
LETTERS_BEFORE_ONE = re.compile(r"(?<![^\W_]) [lr] (?= [fbhmr] (?![^\W_\d]))", re.VERBOSE)
"""It is behind them: `lf_paw`, `lr`."""
CAPITALS_OF_SIDES = re.compile(r"(?<![A-Z]) [LR] (?![a-z])", re.VERBOSE)
"""They begin or end a word: `LEye`, `eyeL1`."""
SIDES = (WORDS_OF_SIDES, LETTERS_OF_SIDES, LETTERS_AFTER_ONE, LETTERS_BEFORE_ONE, CAPITALS_OF_SIDES)
LEFT = ("left", "l", "左")


@dataclass(frozen=True, kw_only=True)
class Categories:
    """What the labels, the pixels and the keypoints of a data set are called.

    `class_names[i]` is the class of label `i`. `label_map_names[i]` is the class of value `i` in a label map: either
    the same names (every pixel has a class, as in CamVid), or those names followed by `"background"` (as in VOC), or
    nothing where there are no label maps. So one number means one class everywhere, and background is the last.

    `skeleton` holds pairs of indices into `keypoint_names`. `flip_order[k]` is the keypoint that keypoint `k` becomes
    in a mirrored picture; where it is not given, names say what is left and right.
    """

    class_names: tuple[str, ...]
    label_map_names: tuple[str, ...] = ()
    keypoint_names: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    flip_order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for field in ("class_names", "label_map_names", "keypoint_names"):
            names = getattr(self, field)
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InputError(f"{field}: {', '.join(twice)} appears twice; give every entry its own name")
        if self.label_map_names not in ((), self.class_names, (*self.class_names, BACKGROUND)):
            raise InputError(
                f"label_map_names: {list(self.label_map_names)} is neither class_names nor class_names + ['background']"
            )
        for row, edge in enumerate(self.skeleton):
            if not all(0 <= joint < len(self.keypoint_names) for joint in edge):
                raise InputError(f"skeleton: row {row} is {edge}, outside 0..{len(self.keypoint_names) - 1}")
        if not self.flip_order:
            object.__setattr__(self, "flip_order", _by_names(self.keypoint_names))
        if any(self.flip_order[other] != index for index, other in _pairs(self.flip_order, len(self.keypoint_names))):
            raise InputError(
                f"flip_order: {list(self.flip_order)} does not exchange {len(self.keypoint_names)} keypoints in pairs"
            )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def background(self) -> int:
        """The value of background in label maps, and one more than all values where they have none."""
        names = self.label_map_names
        return names.index(BACKGROUND) if BACKGROUND in names else self.num_classes

    @property
    def has_background(self) -> bool:
        """Whether label maps have a background class, which is the last value."""
        return len(self.label_map_names) > len(self.class_names)


def _pairs(flip_order: tuple[int, ...], num_keypoints: int) -> list[tuple[int, int]]:
    """Pair each keypoint with what it becomes; raises `InputError` unless there is one number of 0.. for each."""
    if sorted(flip_order) != list(range(num_keypoints)):
        raise InputError(f"flip_order: {list(flip_order)} is not each of 0..{num_keypoints - 1} once")
    return list(enumerate(flip_order))


def _by_names(names: tuple[str, ...]) -> tuple[int, ...]:
    """Exchange the keypoints whose names differ in their side alone, such as `left_eye` and `right_eye`."""
    order = {name: index for index, name in enumerate(names)}
    others = [
        next((order[other] for other in _other_sides(name) if other != name and other in order), index)
        for index, name in enumerate(names)
    ]
    return tuple(other if others[other] == index else index for index, other in enumerate(others))


def _other_sides(name: str) -> Iterator[str]:
    """Exchange left and right: as words in any part of the name, then as letters that stand for themselves."""
    for pattern in SIDES:
        yield pattern.sub(lambda side: _exchanged(side.group()), name)


def is_left(name: str, other: str) -> bool | None:
    """Tell whether the first of two keypoints that change places is the left one; `None` where names do not say so."""
    for pattern, exchanged in zip(SIDES, _other_sides(name), strict=True):
        if exchanged == other and (side := pattern.search(name)):
            return side.group().lower() in LEFT
    return None


def _exchanged(side: str) -> str:
    """Exchange a word in the case that it has: `Left` becomes `Right`."""
    other = OTHER_SIDE[side.lower()]
    return other.upper() if side.isupper() else other.capitalize() if side[0].isupper() else other
