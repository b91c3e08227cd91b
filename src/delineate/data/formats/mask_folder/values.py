"""The values of a mask folder's label maps are named by a list of classes, or known of ADE20K and Cityscapes."""

from pathlib import Path

from delineate.data.files import read_text
from delineate.data.formats.label_values import CLASS_LISTS, IGNORED_NAME, LabelValues, label_values
from delineate.values import IGNORE, InputError

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


def values_of(root: Path, suffix: str) -> LabelValues:
    """Find what the values mean; raises `InputError` where nothing says it."""
    for name in CLASS_LISTS:
        if (root / name).is_file():
            return from_class_list(root / name)
    if (root / "objectInfo150.txt").is_file():
        return from_ade_table(root / "objectInfo150.txt")
    if suffix:
        return from_cityscapes(suffix, root)
    raise InputError(
        f"{root / 'classes.txt'} is missing: write one class name a line, in the order of the label values"
    )


def from_class_list(path: Path) -> LabelValues:
    """Read `classes.txt`: one name a line, in the order of the values; the next value and 255 are ignored.

    The name `background`, wherever it stands, is the label maps' background, our last value. The lines are labelme's,
    too: `__ignore__` before the others, and `_background_`.
    """
    names = [line.strip() for line in read_text(path).rstrip().splitlines()]
    if names[:1] == [IGNORED_NAME]:
        names = names[1:]
    if not 1 <= len(names) <= IGNORE:
        raise InputError(f"{path}: {len(names)} class names; a label map has 1 to {IGNORE}, one name a line")
    if "" in names:
        raise InputError(f"{path}: line {names.index('') + 1} is empty; every line is the name of a value")
    ignored = sorted({len(names), IGNORE} | {value for value, name in enumerate(names) if name == IGNORED_NAME})
    rule = f"{path} names 0..{len(names) - 1}, and {' and '.join(map(str, ignored))} are ignored"
    named = {value: name for value, name in enumerate(names) if name != IGNORED_NAME}
    return label_values(named, ignored, rule, path)


def from_ade_table(path: Path) -> LabelValues:
    """Read ADE20K's `objectInfo150.txt` (Zhou et al. 2017): values count from 1, and 0 is what no class names."""
    rows = [line.split("\t") for line in read_text(path).splitlines()[1:]]
    names = {int(row[0]): row[-1].strip() for row in rows}
    return label_values(names, [0, IGNORE], f"{path} names 1..{len(names)}, and 0 and {IGNORE} are ignored", path)


def from_cityscapes(suffix: str, folder: Path) -> LabelValues:
    """Take Cityscapes' 19 classes from `labelTrainIds` or from `labelIds`, whose other ids are ignored."""
    if suffix == TRAIN_IDS:
        return label_values(
            dict(enumerate(CITYSCAPES)), [IGNORE], f"train ids are 0..18 and {IGNORE} (ignored)", folder
        )
    names = {number: name for name, number in CITYSCAPES.items()}
    ignored = sorted({*range(34), IGNORE} - set(names))
    return label_values(names, ignored, f"ids are 0..33 and {IGNORE} (ignored)", folder)
