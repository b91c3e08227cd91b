from collections.abc import Callable

import pytest

from delineate.system.catalog import CATALOG, options
from delineate.system.tasks import TASKS


def test_table_and_json_list_every_system(delineate: Callable) -> None:
    shown = delineate("models").out
    listed = delineate("models", "--json").json
    assert list(listed) == list(CATALOG)
    assert all(name in shown for name in CATALOG)
    for name, system in listed.items():
        assert set(system) == {"task", "title", "paper", "recipe", "options"}
        assert list(system["options"]) == list(options(name))


def test_systems_stand_below_what_they_find(delineate: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = [line.strip() for line in delineate("models").out.splitlines()]
    titles = [task.title for task in TASKS]
    assert {task.name for task in TASKS} == {entry.task.name for entry in CATALOG.values()}
    assert [line for line in lines if line in titles] == titles
    assert lines.index("Instance segmentation") < next(
        row for row, line in enumerate(lines) if line.startswith("mask_rcnn")
    )


def test_what_is_on_by_default_is_shown_as_it_is_turned_off(
    delineate: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = delineate("models").out
    assert "--no-fpn" in shown.split()
    assert "--no-frozen-norm" not in shown
