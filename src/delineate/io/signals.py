"""A thread's signal stack: where Python's handlers of signals run (sigaltstack, POSIX)."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> _Stack:
    """Tell the signal stack of this thread."""
    stack = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Keep the signal stack of this thread, whatever a library puts in its place meanwhile.

    Each CPU plugin of OpenVINO (one a `Core` that compiles) sets one of its own, and gives back what was there before.
    Where two of them end in the order in which they began, that is one whose memory is gone, and the next signal with a
    handler (Ctrl-C, a child that ends) is the end of the process.
    """
    if sys.platform != "linux":
        yield
        return
    before = signal_stack()
    try:
        yield
    finally:
        ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)
