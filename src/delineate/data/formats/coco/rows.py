"""Entries of a COCO file are named in the same words everywhere."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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


def said_of(rows: Sequence[Row], found: NDArray[np.bool_], source: Path, text: str) -> list[str]:
    """Say in a line which annotations something is true of; in none where it is of no one."""
    ids = [rows[row]["id"] for row in np.flatnonzero(found).tolist()]
    return [f"{source}: {text.format(named(ids))}"] if ids else []
