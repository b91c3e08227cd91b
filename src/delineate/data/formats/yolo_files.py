"""The files of a YOLO set are the YAML that describes it, the pictures it lists, and their label files."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from delineate.data.files import read_lines, read_text
from delineate.data.images import pictures_in
from delineate.values import Categories, InputError

KNOWN_SPLITS = ("train", "val", "test")
NAMES = ("data.yaml", "dataset.yaml")
OUTSIDE = 0.01
"""A coordinate farther beyond the picture's edge, in pictures, is an error and not a rounding."""

Description = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One object has its class and its numbers in 0..1, as they stand in line `number` of a label file."""

    label: int
    values: tuple[float, ...]
    number: int
    is_polygon: bool

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The box `x1 y1 x2 y2`, in 0..1, comes first in a box's and a pose's line, and surrounds a polygon."""
        if self.is_polygon:
            across, down = self.values[0::2], self.values[1::2]
            return min(across), min(down), max(across), max(down)
        x, y, w, h = self.values[:4]
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def describing(root: Path) -> Path | None:
    """Find the YAML file that describes the set: `root` itself, `data.yaml`, or the only one that has `names`."""
    if root.is_file():
        return root if root.suffix in (".yaml", ".yml") else None
    usual = [root / name for name in NAMES if (root / name).is_file()]
    if usual:
        return usual[0]
    others = [
        path for path in sorted(root.glob("*.y*ml")) if "names:" in path.read_text(encoding="utf-8", errors="replace")
    ]
    return others[0] if len(others) == 1 else None


def load(path: Path) -> Description:
    """Load the description; raises `InputError` naming the file when it is no YAML mapping."""
    try:
        description = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: this is no YAML ({' '.join(str(error).split())})") from None
    if not isinstance(description, dict) or "names" not in description:
        raise InputError(f"{path}: 'names', the list of the classes, is missing")
    return description


def splits(description: Description) -> list[str]:
    """List `train`, `val` and `test` where they are given, and what else points into `images/`."""
    return [
        key
        for key, value in description.items()
        if value and (key in KNOWN_SPLITS or (isinstance(value, str) and value.startswith("images/")))
    ]


def pictures(source: Path, description: Description, split: str) -> list[Path]:
    """Find the pictures of a split: of a folder, a text file with one path a line, or a list of these."""
    entries = description[split]
    files: list[Path] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        place = _place(source, description, str(entry))
        files += [place.parent / line for line in read_lines(place)] if place.is_file() else pictures_in(place)
    return files


def label_file(picture: Path) -> Path:
    """Put `labels` in place of the last folder named `images`, and `.txt` in place of the suffix."""
    parts = list(picture.with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        last = max(place for place, part in enumerate(parts[:-1]) if part == "images")
        parts[last] = "labels"
    return Path(*parts)


def kpt_shape(source: Path, description: Description) -> tuple[int, int] | None:
    """Read the number of keypoints and the numbers each has (2 or 3), where the set has poses."""
    if "kpt_shape" not in description:
        return None
    match description["kpt_shape"]:
        case [int(num_keypoints), 2 | 3 as dims] if num_keypoints > 0:
            return num_keypoints, dims
        case wrong:
            raise InputError(f"{source}: kpt_shape: {wrong} is not [number of keypoints, 2 or 3]")


def categories(source: Path, description: Description, kpt_shape: tuple[int, int] | None) -> Categories:
    """Read the names of classes and keypoints; keypoints without names are numbered."""
    names, keypoint_names = description["names"], description.get("kpt_names")
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise InputError(f"{source}: names: the keys are {list(names)}, not 0..{len(names) - 1}")
        names = [names[label] for label in range(len(names))]
    if isinstance(keypoint_names, dict):
        keypoint_names = next(iter(keypoint_names.values()))
    num_keypoints = 0 if kpt_shape is None else kpt_shape[0]
    keypoint_names = keypoint_names or [f"keypoint_{number}" for number in range(num_keypoints)]
    if len(keypoint_names) != num_keypoints:
        raise InputError(f"{source}: kpt_names: {len(keypoint_names)} names for the {num_keypoints} of kpt_shape")
    try:
        return Categories(
            class_names=tuple(str(name) for name in names),
            keypoint_names=tuple(str(name) for name in keypoint_names),
            skeleton=tuple((start, end) for start, end in description.get("skeleton") or ()),
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def lines(path: Path, num_classes: int, kpt_shape: tuple[int, int] | None) -> list[Line]:
    """Read the objects in a label file; a file that is not there has none.

    Raises `InputError` naming the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise InputError(f"{path}: this is no text; a label file has a line of numbers for each object") from None
    objects = []
    for number, row in enumerate(text.splitlines(), start=1):
        if row.strip():
            try:
                objects.append(_line(row.split(), number, num_classes, kpt_shape))
            except InputError as error:
                raise InputError(f"{path}: line {number}: {error}") from None
    return objects


def _line(words: list[str], number: int, num_classes: int, kpt_shape: tuple[int, int] | None) -> Line:
    shown = " ".join(words)[:60]
    try:
        label, *values = (float(word) for word in words)
    except ValueError:
        raise InputError(f"{shown!r} is not made of numbers alone") from None
    if label not in range(num_classes):
        raise InputError(f"class {words[0]} is not in 0..{num_classes - 1}, the classes of the YAML's 'names'")
    if kpt_shape is None:
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise InputError(f"{len(words)} numbers; a box has 5 (class x y w h), a polygon 7 or 9 or 11 ...")
        coordinates = values
    else:
        _check_pose(words, values, kpt_shape)
        coordinates = values[:4]
    if not all(-OUTSIDE <= value <= 1 + OUTSIDE for value in coordinates):
        raise InputError(f"{shown!r} has a coordinate outside 0..1; divide x by the width and y by the height")
    return Line(int(label), tuple(values), number, is_polygon=kpt_shape is None and len(values) > 4)


def _check_pose(words: list[str], values: list[float], kpt_shape: tuple[int, int]) -> None:
    num_keypoints, dims = kpt_shape
    if len(values) != 4 + num_keypoints * dims:
        raise InputError(f"{len(words)} numbers; kpt_shape {list(kpt_shape)} needs {5 + num_keypoints * dims}")
    if not all(math.isfinite(value) for value in values):
        raise InputError("a number is not finite")
    if dims == 3 and not {0.0, 1.0, 2.0}.issuperset(values[6::3]):
        raise InputError("the third number of a keypoint is its visibility, 0, 1 or 2")


def _place(source: Path, description: Description, entry: str) -> Path:
    """Find `entry` under `path` or beside the YAML file; exporters write `../train/images` for `train/images`."""
    bases = [source.parent / str(description.get("path") or ""), source.parent]
    places = [base / name for base in bases for name in (entry, entry.removeprefix("../"))]
    for place in places:
        if place.exists():
            return place
    looked = ", ".join(dict.fromkeys(str(place) for place in places))
    raise InputError(f"{source}: {entry!r} is not there; looked for {looked}. Correct 'path' or the entry")
