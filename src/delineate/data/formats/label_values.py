"""The values stored in label maps get a meaning: names, and a table from value to class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from delineate.data.files import read_text
from delineate.data.images import read_label_map
from delineate.values import IGNORE, Categories, InputError
from delineate.values.categories import BACKGROUND

UNKNOWN = -1

TRAIN_IDS, IDS = "_gtFine_labelTrainIds", "_gtFine_labelIds"
"""The names of Cityscapes' label maps end like this."""

# Cityscapes' ids of the 19 classes that are scored, in the order of their train ids (Cordts et al. 2016).
CITYSCAPES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelValues:
    """`table[value]` is the class of a stored value, `IGNORE` or `UNKNOWN`; `table[256]` is for values past 255.

    `rule` says it in words.
    """

    categories: Categories
    table: Int64[Tensor, "257"]
    rule: str

    def read(self, file: Path) -> Int64[Tensor, "h w"]:
        """Read the label map in a file; raises `InputError` naming the file and the first value that means nothing."""
        stored = read_label_map(file)
        label_map = torch.from_numpy(self.table.numpy().take(stored.numpy(), mode="clip"))
        if label_map.min() == UNKNOWN:
            y, x = (label_map == UNKNOWN).nonzero()[0].tolist()
            raise InputError(f"{file}: value {int(stored[y, x])} at row {y}, column {x} is no class: {self.rule}")
        return label_map


def from_class_list(path: Path) -> LabelValues:
    """Read `classes.txt`: one name a line, in the order of the values; the next value and 255 are ignored.

    The name `background`, wherever it stands, is the label maps' background, our last value.
    """
    names = [line.strip() for line in read_text(path).rstrip().splitlines()]
    if not 1 <= len(names) <= IGNORE:
        raise InputError(f"{path}: {len(names)} class names; a label map has 1 to {IGNORE}, one name a line")
    if "" in names:
        raise InputError(f"{path}: line {names.index('') + 1} is empty; every line is the name of a value")
    ignored = sorted({len(names), IGNORE})
    rule = f"{path} names 0..{len(names) - 1}, and {' and '.join(map(str, ignored))} are ignored"
    return _values(dict(zip(range(len(names)), names, strict=True)), ignored, rule, path)


def from_ade_table(path: Path) -> LabelValues:
    """Read ADE20K's `objectInfo150.txt` (Zhou et al. 2017): values count from 1, and 0 is what no class names."""
    rows = [line.split("\t") for line in read_text(path).splitlines()[1:]]
    names = {int(row[0]): row[-1].strip() for row in rows}
    return _values(names, [0, IGNORE], f"{path} names 1..{len(names)}, and 0 and {IGNORE} are ignored", path)


def from_cityscapes(suffix: str, folder: Path) -> LabelValues:
    """Take Cityscapes' 19 classes from `labelTrainIds` or from `labelIds`, whose other ids are ignored."""
    if suffix == TRAIN_IDS:
        return _values(dict(enumerate(CITYSCAPES)), [IGNORE], f"train ids are 0..18 and {IGNORE} (ignored)", folder)
    names = {number: name for name, number in CITYSCAPES.items()}
    ignored = sorted({*range(34), IGNORE} - set(names))
    return _values(names, ignored, f"ids are 0..33 and {IGNORE} (ignored)", folder)


def _values(names: dict[int, str], ignored: Sequence[int], rule: str, source: Path) -> LabelValues:
    classes = tuple(name for name in names.values() if name != BACKGROUND)
    background = tuple(name for name in names.values() if name == BACKGROUND)
    label_map_names = classes + background
    try:
        categories = Categories(class_names=classes, label_map_names=label_map_names)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    table = torch.full((257,), UNKNOWN)
    for value, name in names.items():
        table[value] = label_map_names.index(name)
    table[list(ignored)] = IGNORE
    return LabelValues(categories=categories, table=table, rule=rule)
