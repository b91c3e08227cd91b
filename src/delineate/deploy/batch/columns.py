"""Engines that go through tables (Ray Data, Spark, Daft) call one value with columns of pictures, and get rows.

columns     `path` (files and URLs) or `bytes`: a mapping of arrays, an Arrow table, a pandas frame, or an iterator
rows        the columns given, without `bytes`, and those of `rows.py`
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from delineate.deploy.batch.manifest import Entry
from delineate.deploy.batch.rows import Finder, result_rows, schema_of, task_of
from delineate.deploy.batch.sources import BYTES, PATH, import_pyarrow, in_row, picture_at
from delineate.deploy.predictor import PredictOptions, Predictor
from delineate.deploy.top_down import TopDown
from delineate.values import InputError

if TYPE_CHECKING:
    from pyarrow import Schema, Table


class ColumnPredictor:
    """A trained system is called with columns of pictures, and gives columns of results.

    It holds the name of a run or an export, no weights: it can be pickled, and a process that calls it loads the system
    once, whatever number of batches follows. `detector` is the run of a detector before a pose regressor; `options` are
    those of `Predictor.predict`. A picture that cannot be read is a row with an `error`.

    Ray Data: `dataset.map_batches(find, compute=..., batch_size=64)`; Spark: `frame.mapInPandas(find, schema)`.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        detector: str | Path | None = None,
        device: str = "auto",
        weights: Literal["best", "last"] = "best",
        precision: Literal["auto", "fp32", "bf16"] = "fp32",
        optimise: Literal["auto"] | None = None,
        **options: Any,
    ) -> None:
        self.runs = (str(Path(run).absolute()), None if detector is None else str(Path(detector).absolute()))
        self.loading: tuple[Any, ...] = (device, weights, precision, optimise)
        self.options: PredictOptions = options  # type: ignore[assignment]  # `predict` says which there are

    @property
    def finder(self) -> Finder:
        """Load the system, once a process."""
        return _loaded(*self.runs, *self.loading)

    @property
    def schema(self) -> "Schema":
        """Say which columns of results there are, and of which types (`rows.py`), as pyarrow does."""
        schema = schema_of(task_of(self.finder))
        return schema.remove(schema.get_field_index("row"))

    def __call__(self, columns: Any) -> Any:
        """Predict the pictures of some columns.

        Gives an Arrow table; for a pandas frame a frame; for an iterator, as Spark passes it, an iterator of what each
        item gives. Raises `InputError` where there is neither a column `path` nor `bytes`.
        """
        if isinstance(columns, Iterator):
            return map(self, columns)
        arrow = import_pyarrow()
        if isinstance(columns, arrow.RecordBatch):
            columns = arrow.Table.from_batches([columns])
        if isinstance(columns, arrow.Table):
            return self._table(columns)
        if isinstance(columns, Mapping):
            return self._table(arrow.table({name: _plain(values) for name, values in columns.items()}))
        if hasattr(columns, "columns") and hasattr(columns, "to_dict"):
            return self._table(arrow.Table.from_pandas(columns, preserve_index=False)).to_pandas()
        raise InputError(f"columns: {type(columns).__name__} is no mapping of arrays, Arrow table or pandas frame")

    def _table(self, given: "Table") -> "Table":
        if not {PATH, BYTES} & {*given.column_names}:
            there = ", ".join(given.column_names) or "none"
            raise InputError(f"columns: there is neither '{PATH}' nor '{BYTES}'; there are {there}")
        arrow = import_pyarrow()
        rows = [*result_rows(self.finder, _entries(given), self.options)]
        schema = self.schema.remove(0)  # the path, which is as it was given
        found = arrow.Table.from_pylist(rows, schema=schema)
        kept = [name for name in given.column_names if name not in (BYTES, *schema.names)]
        columns = {name: given[name] for name in kept} | {name: found[name] for name in schema.names}
        return arrow.table(columns)


def _entries(given: "Table") -> Iterator[Entry]:
    has_bytes, has_path = BYTES in given.column_names, PATH in given.column_names
    names = given.select([name for name in (PATH, BYTES) if name in given.column_names])
    for number, row in enumerate(row for batch in names.to_batches(max_chunksize=16) for row in batch.to_pylist()):
        path, place = row.get(PATH), f"row {number}"
        if has_bytes:
            yield Entry(path or place, number, in_row(row[BYTES], f"{place} ({path})" if has_path else place))
        else:
            yield Entry(path or place, number, picture_at(path) if path else in_row(None, place))


def _plain(values: Iterable[Any]) -> Any:
    """Make a list of an array of objects, which Arrow does not take from every library."""
    return values.tolist() if hasattr(values, "tolist") else values


@lru_cache(maxsize=1)
def _loaded(
    run: str,
    detector: str | None,
    device: str,
    weights: Literal["best", "last"],
    precision: Literal["auto", "fp32", "bf16"],
    optimise: Literal["auto"] | None,
) -> Finder:
    alone = Predictor.load(run, device=device, weights=weights, precision=precision, optimise=optimise)
    return alone if detector is None else TopDown(alone, Predictor.load(detector, device=device, precision=precision))
