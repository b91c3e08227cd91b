"""Values in annotation files come in many types: each is read as what it says, or refused with its place.

`where` is that place, such as `train.json: annotation 3: bbox`; it precedes what is wrong. Of many values it is a
function of the row, as what is right is read at once, and one by one only to name what is not.
"""

import math
import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.values import InputError

TRUE, FALSE = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no", ""})

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}(\.0*)?")


def number(value: Any, where: str) -> float:
    """Read a finite number, also of a text such as "996.0"; null, NaN and Infinity raise `InputError`."""
    try:
        if value is None or isinstance(value, bool):
            raise ValueError
        read = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: {value!r:.80} is no number") from None
    if not math.isfinite(read):
        raise InputError(f"{where}: {value!r} is not finite")
    return read


def whole(value: Any, where: str) -> int:
    """Read a whole number, also of "3" or 3.0."""
    read = number(value, where)
    if not read.is_integer():
        raise InputError(f"{where}: {value!r} is no whole number")
    return int(read)


def flag(value: Any, where: str) -> bool:
    """Read a truth value: null and "0" are false, "1" and "true" true, and so are numbers but 0."""
    if value is None:
        return False
    if isinstance(value, str):
        word = value.strip().lower()
        if word in TRUE | FALSE:
            return word in TRUE
    return number(float(value) if isinstance(value, bool) else value, where) != 0


def flags(values: Sequence[Any], where: Callable[[int], str]) -> list[bool]:
    """Read many truth values."""
    if set(map(type, values)) <= {int, bool, type(None)}:
        return list(map(bool, values))
    return [flag(value, where(row)) for row, value in enumerate(values)]


def identifier(value: Any, where: str) -> int | str:
    """Read what names an entry, a whole number or a text; "7" and 7.0 are the number 7."""
    if isinstance(value, str) and value.strip():
        text = value.strip()
        return int(float(text)) if WHOLE_NUMBER.fullmatch(text) else text
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where}: {value!r:.80} is no id")
    return value if isinstance(value, int) else whole(value, where)


def identifiers(values: Sequence[Any], where: Callable[[int], str]) -> Sequence[int | str]:
    """Read many names of entries."""
    if set(map(type, values)) <= {int}:
        return values
    return [identifier(value, where(row)) for row, value in enumerate(values)]


def numbers(values: Any, where: str, count: int | None = None) -> list[float]:
    """Read a list of finite numbers, `count` of them where it is given."""
    if not isinstance(values, list) or count not in (None, len(values)):
        raise InputError(f"{where}: {values!r:.80} is not a list of {'' if count is None else f'{count} '}numbers")
    return [number(value, where) for value in values]


def column(values: Sequence[Any], where: Callable[[int], str]) -> NDArray[np.float64]:
    """Read many finite numbers."""
    read = _at_once(values)
    if read is None or read.ndim > 1:
        read = np.array([number(value, where(row)) for row, value in enumerate(values)], dtype=np.float64)
    return read


def table(rows: Sequence[Any], where: Callable[[int], str], count: int) -> NDArray[np.float64]:
    """Read many lists of `count` finite numbers."""
    read = _at_once(rows)
    if read is None or read.shape != (len(rows), count):
        read = np.array([numbers(values, where(row), count) for row, values in enumerate(rows)], dtype=np.float64)
    return read.reshape(-1, count)


def _at_once(values: Sequence[Any]) -> NDArray[np.float64] | None:
    """Read what is right; numpy also reads texts, takes null for NaN, and true for 1."""
    try:
        read = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    has_flags = bool in set(map(type, values if read.ndim == 1 else chain.from_iterable(values)))
    return read if np.isfinite(read).all() and not has_flags else None
