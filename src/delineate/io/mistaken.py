"""A file that should hold weights and does not is told by its first bytes."""

from pathlib import Path

NUM_BYTES = 1024
PICKLED = (b"PK\x03\x04", b"\x80")
"""Files of `torch.save` begin with one of these, new and old."""


def what_it_is(file: Path) -> str:
    """Say what a file is that was taken for weights, and the mend; nothing where that is not known."""
    head = _head(file).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        return "an empty file: the download went wrong"
    if head.startswith(b"<") and b"<html" in head.lower():
        return "an HTML page: the download went wrong"
    if head.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer: run `git lfs pull`"
    return ""


def is_pickled(file: Path) -> bool:
    """Tell whether `torch.save` wrote a file."""
    return _head(file).startswith(PICKLED)


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(NUM_BYTES)
