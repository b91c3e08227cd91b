"""The pictures of a shard become one file of Parquet, which is whole or not there: a finished one is passed over.

OUT/part-00003-of-00064.parquet     the rows of `rows.py`, in the manifest's order
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from delineate.deploy.batch.manifest import Manifest
from delineate.deploy.batch.rows import Finder, result_rows, schema_of
from delineate.deploy.batch.sources import import_pyarrow
from delineate.deploy.predictor import PredictOptions
from delineate.io.stores import exists, opened, stored_beside
from delineate.values import Categories, InputError, Task

KEY = b"delineate"
"""The metadata of a file have, under this name, what made it as JSON."""
AT_ONCE = 256
"""So many rows are written together."""


@dataclass(frozen=True)
class Shard:
    """A shard is the `number`th of `count` parts of a manifest, counted from 1."""

    number: int
    count: int

    @property
    def file(self) -> str:
        return f"part-{self.number:05d}-of-{self.count:05d}.parquet"


@dataclass(frozen=True)
class Done:
    """A shard that is done has so many pictures, of which some could not be read; or it was `done_before`."""

    file: str
    pictures: int
    unreadable: int
    objects: int
    done_before: bool = False


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The same is done with every shard of a manifest: a system with its options predicts, and files go to `out`.

    `made_by` is what the results follow from.
    """

    manifest: Manifest
    out: str
    task: Task
    categories: Categories
    options: PredictOptions
    made_by: Mapping[str, Any]

    def facts(self, shard: Shard) -> dict[str, Any]:
        """Say what a file is made of, as its metadata do."""
        first, last = self.manifest.span(shard.number, shard.count)
        unit = "archives" if self.manifest.archives else "rows"
        made_of = {"paths": self.manifest.paths, unit: len(self.manifest), f"{unit}_of_this_file": [first, last]}
        names = {name: getattr(self.categories, name) for name in (self.task.labels, "keypoint_names")}
        as_read: dict[str, Any] = json.loads(json.dumps({**self.made_by, **made_of, **names}))
        return as_read


def predict_shard(batch: Batch, finder: Finder, shard: Shard, *, again: bool = False) -> Done:
    """Predict the pictures of a shard, and write one file; one that is there is passed over, unless `again`.

    Raises `InputError` where a file is there that was made otherwise, and `OSError` where a store cannot be reached or
    a disk is full: then there is no file, and another call begins the shard anew.
    """
    file, facts = f"{batch.out}/{shard.file}", batch.facts(shard)
    if not again and exists(file):
        return _done_before(file, facts)
    arrow = import_pyarrow()
    schema = schema_of(batch.task).with_metadata({KEY: json.dumps(facts)})
    pictures = unreadable = objects = 0
    with stored_beside(file) as place, arrow.parquet.ParquetWriter(place, schema, compression="zstd") as writer:
        rows = result_rows(finder, batch.manifest.entries(shard.number, shard.count), batch.options)
        for some in _groups(rows):
            writer.write_table(arrow.Table.from_pylist(some, schema=schema))
            pictures += len(some)
            unreadable += sum(row["error"] is not None for row in some)
            objects += sum(len(row.get("boxes", ())) for row in some)
    return Done(file, pictures, unreadable, objects)


def read_facts(file: str) -> dict[str, Any]:
    """Read what made a file of results; raises `InputError` where it is none."""
    arrow = import_pyarrow()
    with opened(file) as stream:
        try:
            facts: dict[str, Any] = json.loads(arrow.parquet.read_schema(stream).metadata[KEY])
        except (arrow.ArrowException, LookupError, TypeError) as error:
            raise InputError(
                f"{file}: this is no whole file of results ({str(error).splitlines()[0]}); remove it, or --again"
            ) from None
    return facts


def _done_before(file: str, facts: Mapping[str, Any]) -> Done:
    earlier = read_facts(file)
    changed = [key for key in facts if earlier.get(key) != facts[key]]
    if changed:
        was = ", ".join(f"{key} was {earlier.get(key)}, now {facts[key]}" for key in changed)
        raise InputError(f"{file}: it was made otherwise ({was}); name another --out, or --again drops it")
    return Done(file, 0, 0, 0, done_before=True)


def _groups(rows: Iterator[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    while some := list(islice(rows, AT_ONCE)):
        yield some
