"""A record is looked at once: its file is opened, its objects are read, and every check of one picture sees both."""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from delineate.data.dividing.duplicates import difference_hash
from delineate.data.images import Header, Stream, check_image, read_header, read_label_map
from delineate.data.pairing import check_size
from delineate.doctor.records import Hit, Part, Record, Size, Thing
from delineate.doctor.words import kinds_of
from delineate.io.machine import num_cores
from delineate.values import InputError

AHEAD = 4
"""So many records a core are looked at before the first of them is asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What one look at a record saw: `size` is `None` where the picture cannot be read.

    `things` are in pixels where the size is known. `hits` are of what could not be read, and `stored` the values of the
    label map. `fingerprint` is the picture's hash, where pictures are decoded.
    """

    record: Record
    part: Part
    header: Header | None = None
    decoded: bool = True
    things: Sequence[Thing] = ()
    hits: list[Hit] = field(default_factory=list)
    stored: NDArray[np.int64] | None = None
    fingerprint: int | None = None

    @property
    def size(self) -> Size | None:
        return None if self.header is None else self.header.size

    @property
    def frame(self) -> Size | None:
        """The size of the picture, in which objects can be placed; `None` where the annotation is of another."""
        return self.size if 0 in self.record.said or self.size == self.record.said else None


def look_at(record: Record, part: Part, *, decode: bool) -> Look:
    """Read a picture and what is written of it; what cannot be read is a hit, and no error."""
    hits: list[Hit] = []
    header = _header(record, hits)
    fingerprint = None if header is None else _checked(record, hits, decode=decode)
    things, said = part.things(record)
    stored = None if record.label_map is None or not decode else _stored(record.label_map, record, header, hits)
    size = None if header is None else header.size
    return Look(
        record=record,
        part=part,
        header=header,
        decoded=decode,
        things=things if size is None else [thing.in_pixels(size) for thing in things],
        hits=[*hits, *said],
        stored=stored,
        fingerprint=fingerprint,
    )


def stream_of(record: Record) -> Stream | None:
    """Open the picture that an annotation file holds; of others there is none, as they are files."""
    return None if record.held is None else io.BytesIO(record.held())


def look_through(
    part: Part, checks: Callable[[Look], Iterable[Hit]], *, decode: bool
) -> Iterator[tuple[Look, list[Hit]]]:
    """Look at all records of a split on all cores, in order, with what the checks find; few are in memory at a time.

    These are threads: decoding, hashing and reading files do not hold each other up, and nothing is copied.
    """

    def look(record: Record) -> tuple[Look, list[Hit]]:
        seen = look_at(record, part, decode=decode)
        return seen, list(checks(seen))

    rest, workers = iter(part.records), num_cores()
    pool = ThreadPoolExecutor(workers)
    try:
        waiting = deque(pool.submit(look, record) for record in islice(rest, AHEAD * workers))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(look, record) for record in islice(rest, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def _header(record: Record, hits: list[Hit]) -> Header | None:
    if record.missing:
        hits.append(Hit("annotation-without-picture", record.written, record.missing))
        return None
    try:
        return read_header(record.file, stream_of(record))
    except InputError as error:
        hits.append(_of_error(error, record, "unreadable"))
        return None


def _checked(record: Record, hits: list[Hit], *, decode: bool) -> int | None:
    """Read the whole picture, or its ends alone; gives its hash where it is decoded and nothing is wrong."""
    try:
        if not decode and record.held is None:
            check_image(record.file)
            return None
        # this reads all of the file, and of a JPEG less than every pixel
        return difference_hash(record.file, stream_of(record))
    except InputError as error:
        hits.append(_of_error(error, record, "unreadable"))
        return None


def _stored(label_map: Path, record: Record, header: Header | None, hits: list[Hit]) -> NDArray[np.int64] | None:
    try:
        stored: NDArray[np.int64] = read_label_map(label_map).numpy()
        if header is not None:
            check_size((stored.shape[0], stored.shape[1]), record.file, header.size, str(label_map))
    except InputError as error:
        hits.append(_of_error(error, record, "broken-annotation"))
        return None
    return stored


def _of_error(error: InputError, record: Record, otherwise: str) -> Hit:
    detail = str(error).removeprefix(f"{record.file}: ")
    return Hit(next(iter(kinds_of(str(error))), otherwise), record.written, detail)
