"""The results of many pictures are lines of one file, by which a call that was killed goes on.

`results.jsonl` has what made the results as one object, then an object for each picture, which is there whole before
the next picture is begun. Files in the field's formats are made of these lines when all are there (`writing`).
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from delineate.data.files import write_text
from delineate.io.files import written_beside
from delineate.values import InputError

LINES = "results.jsonl"


class Results:
    """The results of a folder are those of earlier calls and those that are added.

    `names` has the name of the files of each picture that is done, by its absolute path. Raises `InputError` where the
    earlier results were made otherwise than `made_by` says; with `again` they are dropped.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, Any], *, again: bool = False) -> None:
        self.file = folder / LINES
        self._made_by = made_by
        self.names: dict[str, str] = {}
        self._file_names: set[str] = set()
        self._is_begun = not again and self.file.exists() and _has_whole_lines(self.file)
        if self._is_begun:
            with closing(_objects(self.file)) as objects:
                _check_same(folder, next(objects), made_by)
            for line in self:
                self._remember(line)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Read picture by picture: `path`, `name`, `file_name`, and the fields of `prediction_record`."""
        if self._is_begun:
            with closing(_objects(self.file)) as objects:
                yield from islice(objects, 1, None)

    def add(self, path: Path, name: Path, below: Path, record: Mapping[str, Any]) -> None:
        """Append the record of a picture, which is called by its path `below` the folder given where no other is."""
        file_name = record["file"] if below.as_posix() in self._file_names else below.as_posix()
        line = {"path": str(path.absolute()), "name": name.as_posix(), "file_name": file_name, **record}
        if not self._is_begun:
            self._is_begun = True
            write_text(self.file, json.dumps(self._made_by) + "\n")
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        self._remember(line)

    def _remember(self, line: Mapping[str, Any]) -> None:
        self.names[line["path"]] = line["name"]
        self._file_names.add(line["file_name"])


class FrameResults:
    """The results of a video are the lines of its frames, in a file that is there once all of them are done."""

    def __init__(self, folder: Path, made_by: Mapping[str, Any]) -> None:
        self.file, self._made_by = folder / LINES, made_by

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Read frame by frame: `frame`, `seconds`, `name`, `file_name`, and the fields of `prediction_record`."""
        with closing(_objects(self.file)) as objects:
            yield from islice(objects, 1, None)

    def check(self) -> None:
        """Raise `InputError` where the results that are there were made otherwise."""
        with closing(_objects(self.file)) as objects:
            _check_same(self.file.parent, next(objects), self._made_by)

    @contextmanager
    def written(self) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Give what takes the records of frame after frame."""
        with written_beside(self.file) as beside, beside.open("w", encoding="utf-8") as lines:

            def add(record: Mapping[str, Any]) -> None:
                lines.write(json.dumps(record) + "\n")

            add(self._made_by)
            yield add


def made_by(checkpoint: Path, **options: Any) -> dict[str, Any]:
    """Say what results follow from: weights, by their file, its size and its time of writing, and options."""
    state = checkpoint.stat()
    return {"weights": str(checkpoint.absolute()), "written": [state.st_size, state.st_mtime_ns], **options}


def _has_whole_lines(file: Path) -> bool:
    """Cut away a last line that was not written to its end, as a call was killed; tell whether a line is left."""
    with file.open("r+b") as lines:
        end = sum(len(line) for line in lines if line.endswith(b"\n"))
        lines.truncate(end)
    return end > 0


def _objects(file: Path) -> Generator[dict[str, Any], None, None]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield json.loads(line)
            except ValueError:
                raise InputError(
                    f"{file}: line {number} is no JSON; remove the line, or do all anew with --again"
                ) from None


def _check_same(folder: Path, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(now))  # which has lists for tuples
    keys = [key for key in dict.fromkeys([*earlier, *now]) if earlier.get(key) != now.get(key)]
    if keys:
        changes = ", ".join(f"{key} was {earlier.get(key)}, now {now.get(key)}" for key in keys)
        raise InputError(
            f"out: {folder} has results that were made otherwise ({changes}); name another --out, or --again drops them"
        )
