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
LIST_BEGINS, LIST_ENDS, ENTRY_ENDS = range(3)
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
            for number, (start, stop) in enumerate(self.spans[name]):
                file.seek(start)
                text = file.read(stop - start).strip()
                if number and text:
                    if not text.startswith(b",") or not text[1:].strip():
                        raise InputError(f"{self.path}: this is no JSON (a comma between entries of {name!r})")
                    text = text[1:]
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

    All that is around them is read as JSON. Raises `InputError` naming the file where it is none.
    """
    lists: list[list[Span]] = []
    around, began, end, met = list[bytes](), -1, 0, set[str]()
    with path.open("rb") as file:
        for kind, place in _marks(path, words, met):
            if kind == LIST_BEGINS:
                file.seek(end)
                around.append(file.read(place + 1 - end) + str(len(lists)).encode())
                lists.append([])
                began = place + 1
            elif began >= 0:
                lists[-1].append((began, place + (kind == ENTRY_ENDS)))
                began, end = (place + 1, end) if kind == ENTRY_ENDS else (-1, place)
        file.seek(end)
        around.append(b"" if began >= 0 else file.read())
    try:
        document = json.loads(b"".join(around))  # with the number of each list in its place
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is no JSON ({error})") from None
    named = document.items() if isinstance(document, dict) else ()
    spans = {name: lists[value[0]] for name, value in named if isinstance(value, list)}
    return JsonLists(path, spans, frozenset(met))


def _marks(path: Path, words: Sequence[str], met: set[str]) -> Iterator[tuple[int, int]]:
    """Give what begins and ends in a file, and its place there; words that occur are put into `met`."""
    state, found = np.array([0, 0, 0, -1]), np.empty((NUM_FOUND, 2), dtype=np.int64)
    base, tail = 0, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            seen = tail + block
            met |= {word for word in words if word.encode() in seen}
            tail = seen[-64:]
            signs, done = np.frombuffer(block, dtype=np.uint8), 0
            while done < len(signs):
                num, read = _scan(signs[done:], base + done, state, SLICE, found)
                done += read
                yield from found[:num].tolist()
            base += len(block)
    if state[0] or state[1]:
        raise InputError(f"{path}: this is no JSON (it ends too early)")


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
    while place < len(signs) and num < len(found):
        sign = signs[place]
        if in_string:
            if escaped:
                escaped = 0
            elif sign == BACKSLASH:
                escaped = 1
            elif sign == QUOTE:
                in_string = 0
        elif sign == QUOTE:
            in_string = 1
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
