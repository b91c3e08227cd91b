"""A file that should hold weights, or a picture, and does not is told by its first bytes."""

from pathlib import Path

NUM_BYTES = 1024
PICKLED = (b"PK\x03\x04", b"\x80")
"""Files of `torch.save` begin with one of these, new and old."""
TEXT = bytes({*b"\t\n\f\r", *range(0x20, 0x7F), *range(0x80, 0x100)})
"""Texts have no other bytes, but for those in UTF-16."""


def what_it_is(file: Path) -> str:
    """Say what a file is that was taken for weights, and the mend; nothing where that is not known."""
    return what_begins_so(first_bytes(file))


def what_begins_so(head: bytes) -> str:
    """Say what a file with these first bytes is, as `what_it_is` does."""
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        return "an empty file: the download went wrong"
    if head.startswith(b"<") and b"<html" in head.lower():
        return "an HTML page: the download went wrong"
    if head.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer: run `git lfs pull`"
    return ""


def is_text(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a text."""
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or not head.translate(None, TEXT)


def is_pickled(file: Path) -> bool:
    """Tell whether `torch.save` wrote a file."""
    return first_bytes(file).startswith(PICKLED)


def first_bytes(file: Path) -> bytes:
    """Read as many bytes as tell what a file is."""
    with file.open("rb") as opened:
        return opened.read(NUM_BYTES)
