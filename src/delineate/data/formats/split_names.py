"""A split goes by several names, in folders and in files."""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath

WITHOUT_SPLITS = "all"

SAME_SPLITS = (("train", "training"), ("val", "valid", "validation", "dev"), ("test", "testing"))
"""A split goes by any of these names."""
USUAL_NAMES = {name: names[0] for names in SAME_SPLITS for name in names}


def usual_name(split: str) -> str:
    """Give `val` for `valid`, `Validation` or `val2017`; a name of no split is itself, in lower case."""
    name = re.sub(r"[_-]?(19|20)\d\d$", "", split.casefold())
    return USUAL_NAMES.get(name, name)


def meant(split: str, names: Iterable[str]) -> str | None:
    """Find which of the names a split goes by: its own, or the only one that means the same; else `None`.

    Where a data set is not divided, all of it is there to train on.
    """
    names = list(names)
    if names == [WITHOUT_SPLITS] and usual_name(split) == "train":
        return WITHOUT_SPLITS
    alike = [name for name in names if usual_name(name) == usual_name(split)]
    return split if split in names else alike[0] if len(alike) == 1 else None


def split_pairs(pictures: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Give to each split of the pictures what the annotations' folder calls it: its name, or the only one like it."""
    there = set(others)
    pairs = {name: name for name in pictures if name in there}
    here, beside = ([name for name in side if name not in pairs] for side in (pictures, sorted(there)))
    for name in here:
        alike = [[one for one in side if usual_name(one) == usual_name(name)] for side in (here, beside)]
        if [len(side) for side in alike] == [1, 1]:
            pairs[name] = alike[1][0]
    return pairs


def split_of(file: PurePath) -> str:
    """Find the split in a path, given from the data set's folder on: a folder of a split's name, or `all`."""
    return next((folder for folder in file.parts[:-1] if usual_name(folder) in USUAL_NAMES), WITHOUT_SPLITS)


def split_of_list(file: PurePath) -> str:
    """Find the split of a file that names many pictures: as `split_of`, else a word in its name."""
    words = re.split(r"[^a-z]+", file.stem.casefold())
    return next((word for word in (split_of(file), *words) if usual_name(word) in USUAL_NAMES), WITHOUT_SPLITS)
