import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from delineate.deploy import Predictor
from delineate.deploy.batch import ColumnPredictor, columns
from delineate.values import InputError


@pytest.fixture
def find(boxes_run: Path) -> ColumnPredictor:
    return ColumnPredictor(boxes_run, device="cpu", min_score=0.05)


@pytest.fixture
def table(pictures: Path) -> pa.Table:
    names = [str(pictures / f"{number}.png") for number in range(4)]
    return pa.table({"path": names, "bytes": [Path(name).read_bytes() for name in names], "id": [7, 8, 9, 10]})


def test_columns_of_every_library_give_the_same_rows(find: ColumnPredictor, table: pa.Table) -> None:
    expected = find(table).to_pylist()
    assert [row["id"] for row in expected] == [7, 8, 9, 10]
    assert "bytes" not in expected[0]
    assert len(expected[0]["boxes"]) > 0
    assert [row["error"] for row in expected] == [None, None, expected[2]["error"], None]
    assert expected[2]["error"].startswith("row 2 (")
    numpy = {name: np.array(values, dtype=object) for name, values in table.to_pydict().items()}
    lists = {**table.to_pydict(), "id": np.array([7, 8, 9, 10])}
    frame = find(table.to_pandas())
    assert isinstance(frame, pd.DataFrame)
    assert find(numpy).to_pylist() == find(lists).to_pylist() == expected
    assert pa.Table.from_pandas(frame, schema=find(table).schema).to_pylist() == expected
    assert find(table.drop_columns(["path"])).to_pylist()[3]["boxes"] == expected[3]["boxes"]
    assert find(table.to_batches()[0]).to_pylist() == expected
    by_path = find(table.drop_columns(["bytes"])).to_pylist()
    assert by_path[2]["error"].startswith(table["path"][2].as_py())
    assert [row["boxes"] for row in by_path] == [row["boxes"] for row in expected]


def test_an_iterator_gives_one_as_spark_passes_it(find: ColumnPredictor, table: pa.Table) -> None:
    frames: Iterator[Any] = iter([table[:2].to_pandas(), table[2:].to_pandas()])
    found = find(frames)
    assert [len(frame) for frame in found] == [2, 2]


def test_a_schema_says_what_comes(find: ColumnPredictor, table: pa.Table) -> None:
    assert find(table.select(["path"])).schema.equals(find.schema)


def test_it_is_pickled_without_weights_and_loads_them_once(
    find: ColumnPredictor, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = pickle.dumps(find)
    assert len(pickled) < 2000
    loads = []

    def counted(*arguments: Any, **options: Any) -> Predictor:
        loads.append(arguments)
        return load(*arguments, **options)

    load: Callable[..., Predictor] = Predictor.load
    monkeypatch.setattr(Predictor, "load", counted)
    columns._loaded.cache_clear()
    expected = find(table)
    for _ in range(2):
        assert pickle.loads(pickled)(table) == expected
    assert len(loads) == 1


def test_what_has_no_pictures_is_refused(find: ColumnPredictor) -> None:
    with pytest.raises(InputError, match="columns: there is neither 'path' nor 'bytes'; there are image"):
        find({"image": ["a.png"]})
    with pytest.raises(InputError, match="columns: list is no mapping of arrays, Arrow table or pandas frame"):
        find(["a.png"])
    assert find({"bytes": [None]}).to_pylist()[0]["error"] == "row 0: there are no bytes of a picture"
