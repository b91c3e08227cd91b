"""Edits are kept in a journal: a line of JSON each, on the disk before anybody is told that it is kept."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from delineate.values import InputError

FOLDER = Path(".delineate") / "labels"
FILE = "journal.jsonl"
VERSION = 1


class Journal:
    """A journal only grows; one process writes it at a time.

    Its first line is the `head`, which says what is labelled, and later ones without a picture change it; each other
    one is an entry. A last line that was cut off, as by a killed process or a full disk, was answered to nobody: it is
    dropped, and said in `problems`. Raises `InputError` naming the line that is broken, and where another process has
    the journal open.
    """

    def __init__(self, root: Path) -> None:
        self.file = root / FOLDER / FILE
        self.problems: list[str] = []
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._opened = self.file.open("a+b", buffering=0)
        try:
            _lock(self._opened, self.file)
            _keep_names(root)
            self._lines = self._read()
            self._end = self._opened.seek(0, os.SEEK_END)
            heads = [entry for entry in self._lines if "picture" not in entry]
            self.head: dict[str, Any] | None = {k: v for head in heads for k, v in head.items()} if heads else None
        except BaseException:
            self._opened.close()
            raise
        if self.head is not None and self.head.get("labels") != VERSION:
            self._opened.close()
            raise InputError(f"{self.file}: line 1 is no head of a journal of version {VERSION}; move the file away")

    def entries(self) -> Iterator[dict[str, Any]]:
        """Give what was kept before the journal was opened, once."""
        lines, self._lines = self._lines, []
        yield from (line for line in lines if "picture" in line)

    def say(self, head: dict[str, Any]) -> None:
        """Write what the head says where it does not say it yet."""
        known = self.head or {}
        new = {name: value for name, value in {"labels": VERSION, **head}.items() if known.get(name) != value}
        if new:
            self.append(new)
            self.head = {**known, **new}

    def append(self, entry: dict[str, Any]) -> None:
        """Keep a line: it is on the disk when this returns; where that fails, nothing of it stays."""
        line = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            self._opened.truncate(self._end)  # to where the last one ended that was kept
            _write(self._opened, line)
            os.fsync(self._opened.fileno())
        except OSError as error:
            with suppress(OSError):
                self._opened.truncate(self._end)
            raise OSError(error.errno, error.strerror, str(self.file)) from error
        self._end += len(line)

    def close(self) -> None:
        self._opened.close()

    def _read(self) -> list[dict[str, Any]]:
        self._opened.seek(0)
        *lines, rest = self._opened.read().split(b"\n")
        entries = [_parsed(line) for line in lines]
        if entries and entries[-1] is None:
            rest = lines.pop() + b"\n" + rest
            entries.pop()
        if None in entries:
            raise InputError(
                f"{self.file}: line {entries.index(None) + 1} is no JSON; mend it, or move the file away to begin anew"
            )
        if rest:
            self.problems.append(f"{self.file}: its last line was cut off and is dropped ({len(rest)} bytes)")
            self._opened.truncate(sum(len(line) + 1 for line in lines))
        return [entry for entry in entries if entry is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _write(opened: FileIO, data: bytes) -> None:
    """Write all, of which a full disk may take a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[opened.write(rest) :]


def _keep_names(root: Path) -> None:
    """Let the names of a new file and its folders be on the disk, too, where the system can do that of a folder."""
    for folder in (FOLDER, *FOLDER.parents):
        with suppress(OSError):
            number = os.open(root / folder, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)


def _lock(opened: FileIO, file: Path) -> None:
    """Raise `InputError` where another process has the journal; where the system has no such locks, nothing is done."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(opened.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{file}: another process labels this folder already; stop it, or use its page") from None
    except OSError:  # some file systems of networks have none
        return
