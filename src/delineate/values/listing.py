"""Long lists are said by their first names and a count."""

from collections.abc import Iterable


def listed(names: Iterable[object], shown: int = 3) -> str:
    """Name the first `shown` things and count the others, as in "a, b, c and 142 more"."""
    every = [str(name) for name in names]
    more = len(every) - shown
    return ", ".join(every[:shown]) + (f" and {more} more" if more > 0 else "")
