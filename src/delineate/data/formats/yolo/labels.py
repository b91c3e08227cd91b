"""A label file has a line an object: its class, and a box, a polygon or a pose in 0..1."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from delineate.data.files import read_text
from delineate.data.formats.yolo.keypoints import KptShape
from delineate.values import InputError, listed

OUTSIDE = 0.01
"""A coordinate farther beyond the picture's edge, in pictures, is an error and not a rounding."""

LOOKED_AT = 32
"""So many label files tell what a set's lines are."""

LONGEST_BOX = 6
"""The words of a box with its score; a polygon has more."""


@dataclass(frozen=True)
class Line:
    """One object has its class and its numbers in 0..1, as they stand in line `number` of a label file."""

    label: int
    values: tuple[float, ...]
    number: int
    is_polygon: bool = False
    has_score: bool = False

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The box `x1 y1 x2 y2`, in 0..1, comes first in a box's and a pose's line, and surrounds a polygon."""
        if self.is_polygon:
            across, down = self.values[0::2], self.values[1::2]
            return min(across), min(down), max(across), max(down)
        x, y, w, h = self.values[:4]
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2

    @property
    def polygon(self) -> tuple[float, ...]:
        """The corners `x y x y ...`, of a box its four."""
        if self.is_polygon:
            return self.values
        x1, y1, x2, y2 = self.box
        return x1, y1, x2, y1, x2, y2, x1, y2


def read_objects(path: Path, class_names: Sequence[str], kpt_shape: KptShape | None) -> list[Line]:
    """Read the objects in a label file; a file that is not there has none.

    Raises `InputError` naming the file and the line.
    """
    objects = []
    for number, words in rows_of(path):
        try:
            objects.append(read_line(words, number, class_names, kpt_shape))
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
    return objects


def once(objects: Sequence[Line]) -> list[Line]:
    """Keep the first of the lines that say the same."""
    kept: dict[tuple[int, tuple[float, ...]], Line] = {}
    for line in objects:
        kept.setdefault((line.label, line.values), line)
    return list(kept.values())


def most_are_polygons(files: Sequence[Path]) -> bool:
    """Tell whether polygons prevail in the first label files; a set without lines has boxes."""
    present = islice((path for path in files if path.is_file()), LOOKED_AT)
    polygons = [len(words) > LONGEST_BOX for path in present for _, words in rows_of(path)]
    return sum(polygons) * 2 > len(polygons)


def is_label_file(path: Path) -> bool:
    """Tell whether a text file has lines of numbers, and not names or paths."""
    try:
        _, words = next(rows_of(path), (0, ["0"] * 5))
        return len(words) >= 5 and all(math.isfinite(float(word)) for word in words)
    except ValueError:
        return False


def rows_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give the number and the words of each line that is not blank."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        return
    for number, row in enumerate(text.splitlines(), start=1):
        words = row.split()
        if words:
            yield number, words


def read_line(words: list[str], number: int, class_names: Sequence[str], kpt_shape: KptShape | None) -> Line:
    """Read the words of a line; raises `InputError` that says what is wrong with them."""
    shown = " ".join(words[:31])[:60]
    try:
        label, *values = map(float, words)
    except ValueError:
        raise InputError(f"{shown!r} is not made of numbers alone") from None
    if not math.isfinite(label + sum(values)) and not all(map(math.isfinite, (label, *values))):
        raise InputError(f"{shown!r} has a number that is not finite; correct or remove the line")
    if label not in range(len(class_names)):
        known = f"0..{len(class_names) - 1} ({listed(class_names)})"
        raise InputError(f"class {words[0]} is not in {known}; add its name to the set's names or correct the line")
    has_score = kpt_shape is None and len(words) == LONGEST_BOX and 0 <= values[4] <= 1
    if kpt_shape is not None:
        _check_pose(words, values, kpt_shape)
    elif len(values) != 4 and not has_score and (len(values) < 6 or len(values) % 2):
        raise InputError(f"{len(words)} numbers; a box has 5 (class x y w h), a polygon 7 or 9 or 11 ...")
    coordinates = values if kpt_shape is None else values[:4]
    if min(coordinates) < -OUTSIDE or max(coordinates) > 1 + OUTSIDE:
        raise InputError(
            f"{shown!r} has a coordinate outside 0..1; if these are pixels, divide x by the width and y by the height"
        )
    if has_score:
        return Line(int(label), tuple(values[:4]), number, has_score=True)
    return Line(int(label), tuple(values), number, is_polygon=kpt_shape is None and len(values) > 4)


def _check_pose(words: list[str], values: list[float], kpt_shape: KptShape) -> None:
    num_keypoints, dims = kpt_shape
    if len(values) != 4 + num_keypoints * dims:
        raise InputError(f"{len(words)} numbers; kpt_shape {list(kpt_shape)} needs {5 + num_keypoints * dims}")
    if dims == 3 and not {0.0, 1.0, 2.0}.issuperset(values[6::3]):
        raise InputError("the third number of a keypoint is its visibility, 0, 1 or 2")
