"""Many things are said by a count, long lists by their first names and one."""

from collections.abc import Iterable


def listed(names: Iterable[object], shown: int = 3) -> str:
    """Name the first `shown` things and count the others, as in "a, b, c and 142 more"."""
    every = [str(name) for name in names]
    more = len(every) - shown
    return ", ".join(every[:shown]) + (f" and {more} more" if more > 0 else "")


def counted(count: int, noun: str) -> str:
    """Write a number of things, as in "1 picture", "2,600 objects" and "26 bodies"."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else several}"
