"""Entries that are numbers alone (ids, a box, an area, flags) are read without objects of Python, ten times as fast.

What is anything else, such as a mask or keypoints, is left to the reader of entries, which says what is wrong.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.ops.compiling import compiled

FIELDS = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "segmentation", "keypoints")
NUM_IDS, BOX, AREA, CROWD, IGNORE = 3, 3, 4, 5, 6
NEEDED = 0b1111
"""An entry has its first four fields."""
SHORTEST = 40
"""An entry has more bytes."""
MOST_HARD = 2
"""So many numbers of an entry, on average, are read by Python."""
EXACT, DECIMALS, DIGITS = 2**53, 22, 18
"""A whole number up to the first, divided by a power of ten up to the second, is rounded right."""
POWERS = np.array([10.0**power for power in range(DECIMALS + 1)])
KEYS = np.zeros((len(FIELDS), max(map(len, FIELDS))), dtype=np.uint8)
LENGTHS = np.array([len(field) for field in FIELDS])
for _row, _field in enumerate(FIELDS):
    KEYS[_row, : len(_field)] = np.frombuffer(_field.encode(), dtype=np.uint8)
QUOTE, BACKSLASH, COMMA, COLON, MINUS, POINT = (ord(sign) for sign in '"\\,:-.')
OPEN_LIST, CLOSE_LIST, OPEN, CLOSE, ZERO, NINE, T, F, N = (ord(sign) for sign in "[]{}09tfn")


class Flat(NamedTuple):
    """Each entry has ids of its own, its picture and its category, a box `x y width height`, an area (0 for none)."""

    ids: NDArray[np.int64]
    picture_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]


def read_flat(text: bytes) -> Flat | None:
    """Read entries, as they stand in a list; `None` where one of them has something else than numbers."""
    signs, most = np.frombuffer(text, dtype=np.uint8), len(text) // SHORTEST + 1
    ids, values = np.zeros((most, NUM_IDS), dtype=np.int64), np.zeros((most, 7))
    hard = np.zeros((MOST_HARD * most, 4), dtype=np.int64)
    count, num_hard = _entries(signs, KEYS, LENGTHS, POWERS, ids, values, hard)
    if count < 0:
        return None
    for row, column, start, stop in hard[:num_hard].tolist():
        try:
            values[row, column] = float(text[start:stop])
        except ValueError:
            return None
    ids, values = ids[:count], values[:count]
    if not np.isfinite(values).all():
        return None
    own, picture, category = (column.copy() for column in ids.T)  # each may be kept without the others
    numbers = (values[:, :4].copy(), values[:, AREA].copy(), values[:, CROWD] != 0, values[:, IGNORE] != 0)
    return Flat(own, picture, category, *numbers)


@compiled
def _blanks(signs: NDArray[np.uint8], place: int) -> int:
    while place < len(signs) and (signs[place] == 32 or 9 <= signs[place] <= 13):
        place += 1
    return place


@compiled
def _field_at(
    signs: NDArray[np.uint8], begin: int, end: int, keys: NDArray[np.uint8], lengths: NDArray[np.int64]
) -> int:
    for field in range(len(lengths)):
        if lengths[field] == end - begin:
            same = True
            for place in range(lengths[field]):
                if keys[field, place] != signs[begin + place]:
                    same = False
                    break
            if same:
                return field
    return -1


@compiled
def _behind(signs: NDArray[np.uint8], place: int) -> int:
    """Pass over a value of any kind; gives the place behind it, or -1."""
    depth, in_string, start = 0, False, place
    while place < len(signs):
        sign = signs[place]
        if in_string:
            if sign == BACKSLASH:
                place += 1
            elif sign == QUOTE:
                in_string = False
                if depth == 0:
                    return place + 1
        elif sign == QUOTE:
            in_string = True
        elif sign in (OPEN, OPEN_LIST):
            depth += 1
        elif sign in (CLOSE, CLOSE_LIST, COMMA) and depth == 0:
            return place if place > start else -1
        elif sign in (CLOSE, CLOSE_LIST):
            depth -= 1
            if depth == 0:
                return place + 1
        place += 1
    return -1


@compiled
def _number(signs: NDArray[np.uint8], place: int, powers: NDArray[np.float64]) -> tuple[int, float, bool]:
    """Read a number; gives the place behind it, or -1, and whether its digits are too many to be rounded right here."""
    negative = place < len(signs) and signs[place] == MINUS
    if negative:
        place += 1
    start, whole, digits, decimals, hard = place, 0, 0, -1, False
    while place < len(signs):
        sign = signs[place]
        if ZERO <= sign <= NINE:
            digits += 1
            if digits <= DIGITS:
                whole = whole * 10 + (sign - ZERO)
            decimals += decimals >= 0
        elif sign == POINT and decimals < 0 and place > start:
            decimals = 0
        elif sign in (69, 101, 43, MINUS) and place > start:  # E, e, + and - of an exponent
            hard = True
        else:
            break
        place += 1
    if digits == 0 or signs[place - 1] == POINT or (signs[start] == ZERO and digits > 1 and signs[start + 1] != POINT):
        return -1, 0.0, False
    if hard or digits > DIGITS or whole > EXACT or decimals > DECIMALS:
        return place, 0.0, True
    value = whole / powers[decimals] if decimals > 0 else float(whole)
    return place, -value if negative else value, False


@compiled
def _entries(
    signs: NDArray[np.uint8],
    keys: NDArray[np.uint8],
    lengths: NDArray[np.int64],
    powers: NDArray[np.float64],
    ids: NDArray[np.int64],
    values: NDArray[np.float64],
    hard: NDArray[np.int64],
) -> tuple[int, int]:
    """Fill in entry after entry, and which numbers are `hard`; gives the counts of both, -1 where one is not flat."""
    row, num_hard, place = 0, 0, _blanks(signs, 0)
    while place < len(signs):
        if row and signs[place] != COMMA:
            return -1, 0
        place = _blanks(signs, place + (row > 0))
        if place >= len(signs) or signs[place] != OPEN or row >= len(ids):
            return -1, 0
        place, seen, first = place + 1, 0, True
        while True:
            place = _blanks(signs, place)
            if place >= len(signs):
                return -1, 0
            if signs[place] == CLOSE:
                break
            if not first:
                if signs[place] != COMMA:
                    return -1, 0
                place = _blanks(signs, place + 1)
            first = False
            if place >= len(signs) or signs[place] != QUOTE:
                return -1, 0
            begin = place + 1
            place = begin
            while place < len(signs) and signs[place] != QUOTE:
                if signs[place] == BACKSLASH:
                    return -1, 0
                place += 1
            field = _field_at(signs, begin, place, keys, lengths)
            place = _blanks(signs, place + 1)
            if place >= len(signs) or signs[place] != COLON:
                return -1, 0
            place = _blanks(signs, place + 1)
            if place >= len(signs):
                return -1, 0
            sign = signs[place]
            if field < 0:
                place = _behind(signs, place)
            elif field < NUM_IDS:
                begin = place
                place, value, is_hard = _number(signs, place, powers)
                for digit in range(begin, max(begin, place)):
                    if signs[digit] == POINT:
                        return -1, 0
                if is_hard:
                    return -1, 0
                ids[row, field] = int(value)
            elif field == BOX:
                if sign != OPEN_LIST:
                    return -1, 0
                for column in range(4):
                    begin = _blanks(signs, place + 1)
                    place, value, is_hard = _number(signs, begin, powers)
                    if place < 0 or (is_hard and num_hard == len(hard)):
                        return -1, 0
                    if is_hard:
                        hard[num_hard, 0], hard[num_hard, 1] = row, column
                        hard[num_hard, 2], hard[num_hard, 3] = begin, place
                        num_hard += 1
                    values[row, column] = value
                    place = _blanks(signs, place)
                    if place >= len(signs) or signs[place] != (COMMA if column < 3 else CLOSE_LIST):
                        return -1, 0
                place += 1
            elif field <= IGNORE and sign not in (T, F, N):
                begin = place
                place, value, is_hard = _number(signs, place, powers)
                if is_hard:
                    if num_hard == len(hard):
                        return -1, 0
                    hard[num_hard, 0], hard[num_hard, 1] = row, field
                    hard[num_hard, 2], hard[num_hard, 3] = begin, place
                    num_hard += 1
                values[row, field] = value
            elif field <= IGNORE:
                if field == AREA and sign != N:
                    return -1, 0
                values[row, field] = sign == T
                place = _behind(signs, place)
            elif sign == N:
                place = _behind(signs, place)
            else:  # a mask or keypoints, unless there is nothing in the list
                place = _blanks(signs, place + 1)
                if sign != OPEN_LIST or place >= len(signs) or signs[place] != CLOSE_LIST:
                    return -1, 0
                place += 1
            if place < 0:
                return -1, 0
            if field >= 0:
                seen |= 1 << field
        if seen & NEEDED != NEEDED:
            return -1, 0
        row += 1
        place = _blanks(signs, place + 1)
    return row, num_hard
