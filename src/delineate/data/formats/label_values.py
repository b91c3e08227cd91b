"""The values stored in label maps get a meaning: names, and a table from value to class."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from delineate.data.images import read_label_map
from delineate.data.pairing import check_size
from delineate.values import IGNORE, Categories, InputError, listed
from delineate.values.categories import BACKGROUND

UNKNOWN = -1

LOOKED_AT = 32
"""A look at so many label maps decides what values mean."""
MUCH = 0.1
"""A share of ignored pixels that may be a class."""

IGNORED_NAME = "__ignore__"
"""Labelme's name of what is not labelled."""

CLASS_LISTS = ("classes.txt", "labels.txt", "class_names.txt")
"""The files that may name the classes; the second and third are labelme's."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelValues:
    """`table[value]` is the class of a stored value, `IGNORE` or `UNKNOWN`; `table[256]` is for values past 255.

    `rule` says it in words, and `problems` what a look at some label maps leaves in doubt.
    """

    categories: Categories
    table: Int64[Tensor, "257"]
    rule: str
    problems: Sequence[str] = ()

    def read(self, file: Path, picture: Path, image_size: tuple[int, int]) -> Int64[Tensor, "h w"]:
        """Read the label map in a file; raises `InputError` naming the first value that means nothing, or its size."""
        stored = read_label_map(file)
        label_map = torch.from_numpy(self.table.numpy().take(stored.numpy(), mode="clip"))
        if label_map.min() == UNKNOWN:
            y, x = (label_map == UNKNOWN).nonzero()[0].tolist()
            raise InputError(f"{file}: value {int(stored[y, x])} at row {y}, column {x} is no class: {self.rule}")
        check_size(tuple(label_map.shape), picture, image_size, str(file))
        return label_map

    def checked(self, files: Sequence[Path], source: Path) -> "LabelValues":
        """Look at some of the label maps, for values that mean something else than `source` says.

        0 and 255 alone, with two names, are those two. Raises `InputError` where there is one name for several values.
        """
        counts = _counts(files)
        names = self.categories.label_map_names
        values = [value for value, count in enumerate(counts) if count]
        stored = [int((self.table == index).nonzero()[0, 0]) for index in range(len(names))]
        if values == [0, IGNORE] and len(names) == 2 and 0 in stored:
            table = torch.full_like(self.table, UNKNOWN)
            table[0], table[IGNORE] = stored.index(0), 1 - stored.index(0)
            said = f"0 is {names[table[0]]} and {IGNORE} is {names[table[IGNORE]]}"
            rule = f"label maps have 0 and {IGNORE} alone: {said}"
            return replace(self, table=table, rule=rule, problems=[f"{source}: {rule}"])
        if len(names) == 1 and len(values) > 1:
            raise InputError(
                f"{source}: one class is named, and label maps have the values {listed(values)}; name what each value "
                f"is, from 0 on, one a line, such as {BACKGROUND} and {names[0]}"
            )
        return replace(self, problems=[f"{source}: {line}" for line in self._doubts(counts, stored)])

    def _doubts(self, counts: Sequence[int], stored: Sequence[int]) -> Iterator[str]:
        """Say how much is ignored where a named class is never seen, or where it is the value past the names."""
        ignored = [value for value, count in enumerate(counts[:256]) if count and self.table[value] == IGNORE]
        share = sum(counts[value] for value in ignored) / max(sum(counts), 1)
        never = [name for name, value in zip(self.categories.label_map_names, stored, strict=True) if not counts[value]]
        if never and (share > MUCH or (share > 0 and 2 * len(never) >= len(stored))):
            verb = "is" if len(never) == 1 else "are"
            yield (
                f"{listed(never)} {verb} never seen in label maps, {share:.0%} of which are ignored (values "
                f"{listed(ignored)}); make sure that the names stand in the order of the values"
            )
        past = len(stored)
        if not never and past in ignored and counts[past] > MUCH * sum(counts):
            yield (
                f"value {past} is past the {past} names, which begin at 0, and ignored: "
                f"{counts[past] / sum(counts):.0%} of the pixels; if it is a class, name it"
            )


def label_values(names: Mapping[int, str], ignored: Sequence[int], rule: str, source: Path) -> LabelValues:
    """Give the values with these names, and those that are ignored; raises `InputError` for a name given twice."""
    classes = tuple(name for name in names.values() if not is_background(name))
    background = tuple(BACKGROUND for name in names.values() if is_background(name))
    label_map_names = classes + background
    try:
        categories = Categories(class_names=classes, label_map_names=label_map_names)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    table = torch.full((257,), UNKNOWN)
    for value, name in names.items():
        table[value] = label_map_names.index(BACKGROUND if is_background(name) else name)
    table[list(ignored)] = IGNORE
    return LabelValues(categories=categories, table=table, rule=rule)


def is_background(name: str) -> bool:
    """Tell whether a name is the background's, as labelme writes it, too."""
    return name.strip("_").lower() == BACKGROUND


def _counts(files: Sequence[Path]) -> list[int]:
    """Count the pixels of each value in at most `LOOKED_AT` label maps, spread evenly; those past 255 are at 256.

    What cannot be read is passed over: reading says so.
    """
    counts = np.zeros(257, dtype=np.int64)
    for file in files[:: max(-(-len(files) // LOOKED_AT), 1)]:
        with suppress(InputError):
            counts += np.bincount(read_label_map(file).numpy().clip(max=256).ravel(), minlength=257)
    values: list[int] = counts.tolist()
    return values
