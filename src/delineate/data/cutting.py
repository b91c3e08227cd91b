"""Pictures are cut into tiles that overlap, evenly spread to the borders."""

from collections.abc import Iterator

from delineate.values import InputError

Window = tuple[int, int, int, int]
"""It is `(top, left, height, width)`."""
OVERLAP = 64
"""Pixels by which neighbouring tiles overlap, where nothing else is said."""


def starts(size: int, tile: int, overlap: int) -> list[int]:
    """Say where tiles begin: as few as cover `size` overlapping by `overlap` or more, evenly spread to the border.

    Raises `InputError` for an overlap that is not smaller than the tile.
    """
    if not 0 <= overlap < tile:
        raise InputError(f"overlap: {overlap} is not between 0 and the tile's {tile} pixels")
    if size <= tile:
        return [0]
    num_steps = -(-(size - tile) // (tile - overlap))
    return [round(step * (size - tile) / num_steps) for step in range(num_steps + 1)]


def windows(size: tuple[int, int], tile: tuple[int, int], overlap: int) -> Iterator[Window]:
    """Give the windows of a picture of `(height, width)`, row by row; a picture that is smaller has one."""
    height, width = min(tile[0], size[0]), min(tile[1], size[1])
    for top in starts(size[0], tile[0], overlap):
        for left in starts(size[1], tile[1], overlap):
            yield top, left, height, width
