"""A JSON file that is larger than memory should hold is read in slices of its lists, each of so many whole entries."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.ops.compiling import compiled
from delineate.values import InputError

BLOCK = 2**24
"""So many bytes are looked at at once."""
SLICE = 2**23
"""A slice has so many bytes, and the rest of its last entry."""
NUM_FOUND = 4096
KEY_BEGINS, KEY_ENDS, LIST_BEGINS, LIST_ENDS, ENTRY_ENDS = range(5)
QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN, CLOSE = (ord(sign) for sign in '"\\[]{}')

Span = tuple[int, int]


@dataclass(frozen=True)
class JsonLists:
    """The lists that a JSON object has by name are known by where their slices lie in the file.

    `words` are those of the words asked for that occur anywhere.
    """

    path: Path
    spans: dict[str, list[Span]]
    words: frozenset[str]

    def slices(self, name: str) -> Iterator[list[Any]]:
        """Read a list slice by slice; raises `InputError` naming the file where it is no JSON."""
        return map(self.entries, self.texts(name))

    def texts(self, name: str) -> Iterator[bytes]:
        """Give the slices of a list as they stand there, without the commas between them."""
        with self.path.open("rb") as file:
            for start, stop in self.spans[name]:
                file.seek(start)
                text = file.read(stop - start).strip().removeprefix(b",")
                if text:
                    yield text

    def entries(self, text: bytes) -> list[Any]:
        """Read a slice."""
        try:
            entries: list[Any] = json.loads(b"[" + text + b"]")
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.path}: this is no JSON ({error})") from None
        return entries


def find_lists(path: Path, words: Sequence[str] = ()) -> JsonLists:
    """Find where the lists of a file's object lie, without reading what is in them.

    Raises `InputError` naming the file where brackets are not closed.
    """
    spans: dict[str, list[Span]] = {}
    state, found = np.zeros(4, dtype=np.int64), np.empty((NUM_FOUND, 2), dtype=np.int64)
    key, began, name, base, met, tail = -1, -1, "", 0, set[str](), b""
    with path.open("rb") as file, path.open("rb") as keys:
        while block := file.read(BLOCK):
            seen = tail + block
            met |= {word for word in words if word.encode() in seen}
            tail = seen[-64:]
            signs, done = np.frombuffer(block, dtype=np.uint8), 0
            while done < len(signs):
                num, read = _scan(signs[done:], base + done, state, SLICE, found)
                done += read
                for kind, place in found[:num].tolist():
                    if kind == KEY_BEGINS:
                        key = place
                    elif kind == KEY_ENDS:
                        keys.seek(key)
                        name = _text(keys.read(place + 1 - key))
                    elif kind == LIST_BEGINS:
                        spans[name], began = [], place + 1
                    else:
                        spans[name].append((began, place + (kind == ENTRY_ENDS)))
                        began = place + 1
            base += len(block)
    if state[0] or state[1]:
        raise InputError(f"{path}: this is no JSON (it ends too early)")
    return JsonLists(path, spans, frozenset(met))


def _text(quoted: bytes) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return ""


@compiled
def _scan(
    signs: NDArray[np.uint8], base: int, state: NDArray[np.int64], least: int, found: NDArray[np.int64]
) -> tuple[int, int]:
    """Walk along a JSON text; gives how much was found and how far it came, as `found` may be full.

    `state` is the depth, whether it stands in a string, whether a backslash precedes, and where the last slice began,
    -1 where it is in no list.
    """
    depth, in_string, escaped, began = state[0], state[1], state[2], state[3]
    num, place = 0, 0
    while place < len(signs) and num < len(found) - 1:
        sign = signs[place]
        if in_string:
            if escaped:
                escaped = 0
            elif sign == BACKSLASH:
                escaped = 1
            elif sign == QUOTE:
                in_string = 0
                if depth == 1:
                    found[num, 0], found[num, 1] = KEY_ENDS, base + place
                    num += 1
        elif sign == QUOTE:
            in_string = 1
            if depth == 1:
                found[num, 0], found[num, 1] = KEY_BEGINS, base + place
                num += 1
        elif sign in (OPEN, OPEN_LIST):
            if depth == 1:
                began = -1
                if sign == OPEN_LIST:
                    found[num, 0], found[num, 1] = LIST_BEGINS, base + place
                    num += 1
                    began = base + place
            depth += 1
        elif sign in (CLOSE, CLOSE_LIST):
            depth -= 1
            if depth == 1 and sign == CLOSE_LIST:
                found[num, 0], found[num, 1] = LIST_ENDS, base + place
                num += 1
            elif depth == 2 and sign == CLOSE and began >= 0 and base + place - began >= least:
                found[num, 0], found[num, 1] = ENTRY_ENDS, base + place
                num += 1
                began = base + place
        place += 1
    state[0], state[1], state[2], state[3] = depth, in_string, escaped, began
    return num, place
