"""`delineate models` lists what can be trained."""

from typing import Any

from delineate.cli.options import AsJson
from delineate.cli.output import print_json, print_table, table


def models(as_json: AsJson = False) -> None:
    """List all systems that can be trained: what each one is, its paper, and its options."""
    from delineate.system.catalog import CATALOG, options

    if as_json:
        systems = {
            name: {
                "task": entry.task.name,
                "title": entry.title,
                "paper": entry.paper,
                "options": {option: _plain(parameter.default) for option, parameter in options(name).items()},
            }
            for name, entry in CATALOG.items()
        }
        print_json(systems)
        return
    rows = table("name", "what it is")
    rows.columns[0].no_wrap = True
    task = None
    for name, entry in CATALOG.items():
        if entry.task != task:
            task = entry.task
            rows.add_row(f"[bold]{task.title}[/]\n")
        flags = " ".join(_flag(option, parameter.default) for option, parameter in options(name).items())
        rows.add_row(f"[bold cyan]{name}[/]", f"{entry.title}\n[dim]{entry.paper}[/]\n[green]{flags}[/]\n")
    print_table(rows)


def _flag(option: str, default: Any) -> str:
    return ("--no-" if default is True else "--") + option.replace("_", "-")


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
