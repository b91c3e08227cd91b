"""Near-duplicates are pictures that look the same: saved again, resized, or the next frame of a film."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import UInt64

from delineate.data.dividing.grouping import groups_of, joined
from delineate.data.images import Stream, read_thumbnail
from delineate.data.splits import Watch
from delineate.io.machine import num_cores
from delineate.values import InputError

MOST_DIFFERENT = 3
"""Bits of 64 by which the hashes of near-duplicates may differ. Those of 364 pictures of blood cells differ by 11 or
more, but for the two that are the same picture; those of frames of a film, a second apart, often by less."""


def near_duplicates(files: Sequence[Path], watch: Watch = iter) -> tuple[list[int], list[list[int]], list[str]]:
    """Find the pictures that look the same.

    Gives the indices of those that can be read, groups by their places among these, and a line for each other.
    """
    with ThreadPoolExecutor(num_cores()) as pool:
        hashes = [future.result() for future in watch([pool.submit(_hash_or_error, file) for file in files])]
    read = [index for index, value in enumerate(hashes) if not isinstance(value, str)]
    groups = alike(np.array([hashes[index] for index in read], dtype=np.uint64))
    return read, groups, [line for line in hashes if isinstance(line, str)]


def difference_hash(file: Path, stream: Stream | None = None) -> int:
    """Hash a picture by where it, at 8 x 9 pixels, becomes lighter from left to right: 64 bits ("dHash", Krawetz 2013).

    The picture is in the file, or in an open `stream`. Raises `InputError` as `read_image` does.
    """
    pixels = read_thumbnail(file, (8, 9), stream)
    return int.from_bytes(np.packbits(pixels[:, 1:] > pixels[:, :-1]).tobytes(), "big")


def alike(hashes: UInt64[np.ndarray, " n"]) -> list[list[int]]:
    """Group hashes that differ by at most `MOST_DIFFERENT` bits, directly or by way of others of the group."""
    different, which = np.unique(hashes, return_inverse=True)
    return [group for group in groups_of(joined(len(different), _pairs(different))[which]) if len(group) > 1]


def _pairs(hashes: UInt64[np.ndarray, " n"]) -> Iterator[tuple[int, int]]:
    """Find near pairs: if up to three of 64 bits differ, one of the four quarters is the same."""
    for shift in range(0, 64, 64 // (MOST_DIFFERENT + 1)):
        for same in groups_of(((hashes >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)):
            members = np.array(same)
            for place, first in enumerate(same[:-1]):
                others = members[place + 1 :]
                near = np.bitwise_count(hashes[others] ^ hashes[first]) <= MOST_DIFFERENT
                yield from ((first, other) for other in others[near].tolist())


def _hash_or_error(file: Path) -> int | str:
    try:
        return difference_hash(file)
    except InputError as error:
        return str(error)
