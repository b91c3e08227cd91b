"""Entries of a COCO file are named in the same words everywhere."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.values import counted, listed

Row = dict[str, Any]
"""One entry of the JSON: a picture, a category or an annotation."""

Document = dict[str, list[Row]]


def places(rows: Sequence[Row], field: str, source: Path, noun: str = "annotation") -> Callable[[int], str]:
    """Name a field of each entry by its file and id."""
    return lambda row: f"{source}: {noun} {rows[row]['id']}: {field}"


def named(ids: Sequence[Any]) -> str:
    """Count annotations and name the first ones."""
    return f"{counted(len(ids), 'annotation')} ({listed(ids, 5)})"


class Said(NamedTuple):
    """Something is true of annotations: `text` has a place for their number and ids."""

    text: str
    ids: list[Any]


def said_of(ids: Any, found: NDArray[np.bool_], text: str) -> list[Said]:
    """Say which annotations, by ids in a list or an array, something is true of; nothing where it is of no one."""
    chosen = [ids[row] for row in np.flatnonzero(found).tolist()]
    return [Said(text, chosen)] if chosen else []


def lines(said: Iterable[Said], source: Path) -> list[str]:
    """Write a line for each thing that was said, of all annotations together that it was said of."""
    together: dict[str, list[Any]] = {}
    for text, ids in said:
        together.setdefault(text, []).extend(ids)
    return [f"{source}: {text.format(named(ids))}" for text, ids in together.items()]
