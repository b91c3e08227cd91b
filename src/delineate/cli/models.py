"""`delineate models`: what there is to train."""

from typing import Any

from delineate.cli.output import AsJson, print_json, print_table, table

FINDS = {
    "segment": "Classes of pixels",
    "localize": "The one object",
    "joints": "The joints of one body",
    "detect": "Boxes",
    "mask": "Boxes and masks",
    "pose": "Boxes and keypoints",
}
"""What the systems of a task find."""


def models(as_json: AsJson = False) -> None:
    """List the systems: what they are, the paper, their options."""
    from delineate.system.catalog import CATALOG, options

    if as_json:
        systems = {
            name: {
                "task": system.task,
                "title": system.title,
                "paper": system.paper,
                "options": {option: _plain(parameter.default) for option, parameter in options(name).items()},
            }
            for name, system in CATALOG.items()
        }
        print_json(systems)
        return
    rows = table("name", "what it is")
    rows.columns[0].no_wrap = True
    task = None
    for name, system in CATALOG.items():
        if system.task != task:
            task = system.task
            rows.add_row(f"[bold]{FINDS[task]}[/]\n")
        flags = " ".join(_flag(option, parameter.default) for option, parameter in options(name).items())
        rows.add_row(f"[bold cyan]{name}[/]", f"{system.title}\n[dim]{system.paper}[/]\n[green]{flags}[/]\n")
    print_table(rows)


def _flag(option: str, default: Any) -> str:
    return ("--no-" if default is True else "--") + option.replace("_", "-")


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
