"""Numba compiles loops, once a machine where there is a place to keep what it made."""

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(function: Callable[Parameters, Result], *, fastmath: bool = False) -> Callable[Parameters, Result]:
    """Compile `function` when it is first called; threads may run it at the same time.

    What is compiled is kept beside the package or in the user's cache, and nowhere where neither can be written to.
    With `fastmath` sums may be reordered.
    """
    bare = inspect.unwrap(function)  # without what a checker of shapes put around it
    try:
        made = numba.njit(cache=True, nogil=True, fastmath=fastmath)(bare)
    except RuntimeError:
        made = numba.njit(nogil=True, fastmath=fastmath)(bare)
    return cast("Callable[Parameters, Result]", made)
