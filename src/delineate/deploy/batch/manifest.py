"""A manifest says which pictures are to be predicted; it is cut into shards without reading one of them.

pictures of folders and patterns    listed, sorted
a list (.txt)                       a path or URL on each line
a table (.csv, .jsonl, .parquet)    a column `path`; in Parquet, `bytes` in its place or beside it
tar shards (.tar, .tar.gz, .tgz)    pictures inside, in their order

Paths are looked for beside the file that names them. Shard `k` of `n` has the rows from `(k-1) R / n` up to `k R / n`
of all `R`, in the order given; of tar shards, which are read from their beginning, these are whole archives.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import has_magic, iglob
from itertools import accumulate, groupby, pairwise
from pathlib import Path

from delineate.data.folders import pictures_in, visible_files
from delineate.data.images import SUFFIXES
from delineate.deploy.batch.archives import ARCHIVES, pictures_of
from delineate.deploy.batch.sources import Listed, Source, is_manifest, source_of
from delineate.deploy.pictures import Picture
from delineate.io.stores import exists, files_below, is_folder, is_url, located, matching
from delineate.values import InputError

PICTURES_A_SHARD = 1000
"""An engine cuts a manifest so where it is not told otherwise."""


@dataclass(frozen=True)
class Entry:
    """A picture of a manifest is known there by its `path` and its `row`, which in an archive is its place there."""

    path: str
    row: int
    picture: Picture


class Manifest:
    """A manifest is made of paths and URLs, in the order given.

    Raises `InputError` for one that is not there or has no picture, for tar shards beside others, and `OSError` where a
    store cannot be reached.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = [located(path) for path in paths]
        files = [file for path in self.paths for file in _files(path)]
        archives = [file for file in files if file.lower().endswith(ARCHIVES)]
        if archives and len(archives) < len(files):
            other = next(file for file in files if file not in archives)
            raise InputError(f"{archives[0]}: tar shards are predicted by themselves, without {other}")
        self.archives, self._sources = archives, _sources(files) if not archives else []

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate(map(len, self._sources), initial=0))

    def __len__(self) -> int:
        """Count the rows, or the archives, that shards are cut from."""
        return len(self.archives) or self._starts[-1]

    @property
    def usual_shards(self) -> int:
        """Give the number of shards that an engine makes: one an archive, or one a thousand pictures."""
        return len(self.archives) or -(-len(self) // PICTURES_A_SHARD)

    def span(self, number: int, count: int) -> tuple[int, int]:
        """Say which rows, or archives, shard `number` of `count` has: from the first on, up to the second."""
        return (number - 1) * len(self) // count, number * len(self) // count

    def entries(self, number: int, count: int) -> Iterator[Entry]:
        """Give the pictures of shard `number` of `count`; those of archives are in memory one by one."""
        first, last = self.span(number, count)
        for archive in self.archives[first:last]:
            for row, stored in enumerate(pictures_of(archive)):
                yield Entry(stored.name, row, stored)
        if self.archives:
            return
        for source, (begin, end) in zip(self._sources, pairwise(self._starts), strict=True):
            start, stop = max(first, begin), min(last, end)
            if start < stop:
                for row, (path, picture) in enumerate(source.rows(start - begin, stop - begin), start=start):
                    yield Entry(path, row, picture)


def _files(path: str) -> Iterator[str]:
    """Put the files of a folder or a pattern in its place."""
    if has_magic(path) and (is_url(path) or not Path(path).exists()):
        found = matching(path) if is_url(path) else sorted(iglob(path, recursive=True))  # noqa: PTH207
        if not found:
            raise InputError(f"{path}: no file is named so")
        yield from found
    elif is_url(path):
        yield from _chosen(path, files_below(path)) if is_folder(path) else (_there(path),)
    elif Path(path).is_dir():
        yield from [str(file) for file in pictures_in(Path(path))] or _chosen(
            path, [str(file) for file in visible_files(Path(path))]
        )
    else:
        yield _there(path)


def _there(path: str) -> str:
    if not path.startswith(("http://", "https://")) and not exists(path):
        raise InputError(f"{path}: there is no such picture, manifest or folder")
    return path


def _chosen(folder: str, files: Sequence[str]) -> list[str]:
    """Take the pictures of a folder, or where there are none the tables of Parquet, or the archives."""
    for suffixes in (tuple(SUFFIXES), (".parquet",), ARCHIVES):
        if found := [file for file in files if file.lower().endswith(suffixes)]:
            return found
    raise InputError(f"{folder}: there is no picture, no .parquet and no .tar in this folder")


def _sources(files: Sequence[str]) -> list[Source]:
    """Make a source of each manifest, and one of pictures that follow one another."""
    sources: list[Source] = []
    for listed, group in groupby(files, is_manifest):
        several = [*group]
        sources += map(source_of, several) if listed else [Listed(several)]
    return sources
