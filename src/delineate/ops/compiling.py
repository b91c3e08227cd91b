"""Loops that Numba compiles, once a machine where there is a place to keep what it made."""

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile `function` when it is first called; threads may run it at the same time.

    What is compiled is kept beside the package or in the user's cache, and nowhere where neither can be written to.
    """
    bare = inspect.unwrap(function)  # without what a checker of shapes put around it
    try:
        return cast("Callable[Parameters, Result]", numba.njit(cache=True, nogil=True)(bare))
    except RuntimeError:
        return cast("Callable[Parameters, Result]", numba.njit(nogil=True)(bare))
