"""Published weights tell apart classes that have these names."""

from collections.abc import Sequence

from delineate.values import InputError

NO_CLASS = "N/A"
"""It stands for an id that COCO does not use."""


def class_names(count: int, published: Sequence[str], given: Sequence[str] | None) -> list[str]:
    """Name all `count` classes of a file but background: as given, or as published where those are as many.

    Else they are called `class_1`, `class_2` and so on. Raises `InputError` where there are not as many given.
    """
    if given is not None:
        if len(given) != count:
            raise InputError(f"class_names: {len(given)} names, but the weights have {count} classes and background")
        return list(given)
    return list(published) if len(published) == count else [f"class_{number}" for number in range(1, count + 1)]
