"""Values in annotation files come in many types: each is read as what it says, or refused with its place.

`where` is that place, such as `train.json: annotation 3: bbox`; it precedes what is wrong.
"""

import math
from typing import Any

from delineate.values import InputError

TRUE, FALSE = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no", ""})


def number(value: Any, where: str) -> float:
    """Read a finite number, also of a text such as "996.0"; null, NaN and Infinity raise `InputError`."""
    try:
        if value is None or isinstance(value, bool):
            raise ValueError
        read = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: {value!r} is no number") from None
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


def numbers(values: Any, where: str, count: int | None = None) -> list[float]:
    """Read a list of finite numbers, `count` of them where it is given."""
    if not isinstance(values, list) or count not in (None, len(values)):
        raise InputError(f"{where}: {values!r:.80} is not a list of {'' if count is None else f'{count} '}numbers")
    return [number(value, where) for value in values]
