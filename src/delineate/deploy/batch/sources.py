"""Sources of a manifest have rows, each a path and a picture: lists, lines of text, and tables with paths or bytes."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from delineate.deploy.pictures import Picture, Stored
from delineate.io.stores import beside, is_url, opened, read_bytes
from delineate.values import InputError

PATH, BYTES = "path", "bytes"
"""The columns of tables are called so."""
AT_ONCE = 64
"""So many rows with bytes are read from a table together."""

Rows = Iterator[tuple[str, Picture]]


@runtime_checkable
class Source(Protocol):
    """A source has so many rows; those from `start` up to `stop` are given as paths and pictures."""

    def __len__(self) -> int: ...

    def rows(self, start: int, stop: int) -> Rows: ...


class Listed:
    """Pictures are listed in memory."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, start: int, stop: int) -> Rows:
        return ((path, picture_at(path)) for path in self.paths[start:stop])


class Lines:
    """A file of text names a picture on each line; however long it is, one line is in memory.

    Raises `InputError` naming the file and the line where there is no path.
    """

    def __init__(self, file: str) -> None:
        self.file, self._paths = file, LINES[_suffix(file)]

    @cached_property
    def _count(self) -> int:
        return sum(1 for _ in self._each())

    def __len__(self) -> int:
        return self._count

    def rows(self, start: int, stop: int) -> Rows:
        return ((path, picture_at(beside(self.file, path))) for path in islice(self._each(), start, stop))

    def _each(self) -> Iterator[str]:
        with opened(self.file) as file, TextIOWrapper(file, "utf-8-sig", newline="") as lines:
            try:
                yield from self._paths(lines, self.file)
            except UnicodeDecodeError as error:
                raise InputError(f"{self.file}: this is no UTF-8 ({error.reason}); save the file as UTF-8") from None


class Table:
    """A file of Parquet has a column `path` or `bytes`, or both; its row groups are read as they are asked for.

    Raises `InputError` naming the file where it is none or has neither.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        with self._opened() as table:
            self._groups = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
            self.columns = [name for name in (PATH, BYTES) if name in table.schema_arrow.names]
            if not self.columns:
                names = ", ".join(table.schema_arrow.names)
                raise InputError(f"{file}: there is neither a column '{PATH}' nor '{BYTES}'; there are {names}")

    def __len__(self) -> int:
        return sum(self._groups)

    def rows(self, start: int, stop: int) -> Rows:
        with self._opened() as table:
            first = 0
            for group, count in enumerate(self._groups):
                if first < stop and start < first + count:
                    read = table.iter_batches(AT_ONCE, row_groups=[group], columns=self.columns)
                    rows = (row for batch in read for row in batch.to_pylist())
                    low, high = max(start, first), min(stop, first + count)
                    for number, row in enumerate(islice(rows, low - first, high - first), start=low):
                        yield self._row(row, number)
                first += count

    def _row(self, row: dict[str, Any], number: int) -> tuple[str, Picture]:
        path, place = row.get(PATH), f"{self.file}: row {number}"
        if BYTES in self.columns:
            return path or place, in_row(row[BYTES], f"{place} ({path})" if path else place)
        return path or place, picture_at(beside(self.file, path)) if path else in_row(None, place)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        arrow = import_pyarrow()
        with opened(self.file) as file:
            try:
                yield arrow.parquet.ParquetFile(file)
            except arrow.ArrowException as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"{self.file}: this is no whole Parquet file ({reason}); write it anew") from None


def in_row(data: bytes | None, name: str) -> Stored:
    """Make a picture of bytes in a table, which may be missing there."""

    def read() -> bytes:
        if data is None:
            raise InputError(f"{name}: there are no bytes of a picture")
        return data

    return Stored(name, read)


def picture_at(path: str) -> Picture:
    """Give a picture that lies on the disk, or in a store, from which it is read in its turn."""
    return Stored(path, partial(read_bytes, path)) if is_url(path) else Path(path)


def is_manifest(file: str) -> bool:
    """Tell by the name whether a file lists pictures."""
    return _suffix(file) in {*LINES, ".parquet"}


def source_of(file: str) -> Source:
    """Make a source of a manifest."""
    return Table(file) if _suffix(file) == ".parquet" else Lines(file)


def import_pyarrow() -> Any:
    """Import what reads and writes Parquet; raises `InputError` where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError("parquet: pyarrow is not installed; pip install 'delineate[batch]'") from None
    return pyarrow


def _suffix(file: str) -> str:
    return Path(file).suffix.lower()


def _of_text(lines: Iterable[str], _: str) -> Iterator[str]:
    return filter(None, map(str.strip, lines))


def _of_csv(lines: Iterable[str], file: str) -> Iterator[str]:
    table = csv.reader(lines)
    names = next(table, [])
    if PATH not in names:
        raise InputError(f"{file}: its first line has no column '{PATH}'; there are {', '.join(names) or 'none'}")
    column = names.index(PATH)
    for row in table:
        if row:
            if len(row) <= column or not row[column]:
                raise InputError(
                    f"{file}: line {table.line_num}: there is no {PATH}; name a picture, or remove the line"
                )
            yield row[column]


def _of_json(lines: Iterable[str], file: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                path = json.loads(line)[PATH]
            except (ValueError, LookupError, TypeError):
                path = None
            if not isinstance(path, str) or not path:
                raise InputError(f"{file}: line {number} is no JSON object with a '{PATH}'; correct or remove it")
            yield path


LINES: dict[str, Callable[[Iterable[str], str], Iterator[str]]] = {
    ".txt": _of_text,
    ".csv": _of_csv,
    ".jsonl": _of_json,
    ".ndjson": _of_json,
}
