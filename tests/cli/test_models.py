from collections.abc import Callable

from delineate.catalog import CATALOG, options


def test_table_and_json_list_every_system(delineate: Callable) -> None:
    shown = delineate("models").out
    listed = delineate("models", "--json").json
    assert list(listed) == list(CATALOG)
    assert all(name in shown for name in CATALOG)
    for name, system in listed.items():
        assert set(system) == {"task", "title", "paper", "options"}
        assert list(system["options"]) == list(options(name))
