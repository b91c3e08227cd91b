"""Things that belong together are groups: pictures of one folder, or whatever shares a member."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from delineate.values import InputError, counted, listed


def grouped(files: Sequence[Path], group: str | None) -> list[list[int]]:
    """Group pictures by their `folder`, the `prefix` of their name, or what a regular expression finds in it.

    None are grouped where nothing is said. Raises `InputError` for what is no regular expression, or is not found.
    """
    if group is None:
        return []
    if group == "folder":
        keys = [str(file.parent) for file in files]
    elif group == "prefix":
        keys = [re.split(r"[-_.](?=[^-_.]*$)", file.stem)[0] for file in files]
    else:
        keys = _found(files, group)
    return groups_of(np.unique(keys, return_inverse=True)[1].astype(np.int64))


def _found(files: Sequence[Path], pattern: str) -> list[str]:
    try:
        found = [re.search(pattern, file.name) for file in files]
    except re.error as error:
        raise InputError(f"group: {pattern} is no regular expression ({error}), nor folder or prefix") from None
    without = [file.name for file, match in zip(files, found, strict=True) if match is None]
    if without:
        pictures = counted(len(without), "picture")
        raise InputError(f"group: {pattern} is not found in the names of {pictures}: {listed(without)}")
    return [match[match.re.groups and 1] or "" for match in found if match is not None]


def joined(count: int, groups: Iterable[Sequence[int]]) -> Int64[np.ndarray, " n"]:
    """Number the groups of so many things, where all of those that share a member are one."""
    pairs = [(group[0], other) for group in groups for other in group[1:]]
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    edges = coo_array((np.ones(len(pairs)), tuple(ends)), shape=(count, count))
    numbers: Int64[np.ndarray, " n"] = connected_components(edges)[1].astype(np.int64)
    return numbers


def groups_of(numbers: Int64[np.ndarray, " n"]) -> list[list[int]]:
    """List the members of each group by its number."""
    order = np.argsort(numbers, kind="stable")
    return [group.tolist() for group in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)]
