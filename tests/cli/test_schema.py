from pathlib import Path
from typing import Literal

import pytest

from delineate.cli.schema import annotation, make_schema, schema, write_schema


def test_the_schema_is_that_of_the_catalog_and_the_settings() -> None:
    assert schema() == make_schema(), "systems or settings were changed: `make schema`"


def test_what_is_written_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delineate.cli.schema.FILE", tmp_path / "schema.json")
    write_schema()
    schema.cache_clear()
    try:
        assert schema() == make_schema()
    finally:
        schema.cache_clear()


def test_type_hints_come_back() -> None:
    settings = schema()["settings"]
    hints = {name: annotation(option) for name, option in settings.items()}
    assert hints["epochs"] == int | None
    assert hints["scale"] == tuple[float, float]
    assert hints["crop_size"] == tuple[int, int] | None
    assert hints["optimizer"] == Literal["adamw", "sgd"]
    assert hints["out"] == Path | None
    assert hints["multi_scale"] is bool
