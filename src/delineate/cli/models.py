"""`delineate models` lists what can be trained."""

from delineate.cli.options import AsJson
from delineate.cli.output import print_json, print_table, table
from delineate.cli.schema import Option, schema


def models(as_json: AsJson = False) -> None:
    """List all systems that can be trained: what each one is, its paper, and its options."""
    systems, tasks = schema()["systems"], schema()["tasks"]
    if as_json:
        print_json({name: {**facts, "options": _defaults(facts["options"])} for name, facts in systems.items()})
        return
    rows = table("name", "what it is")
    rows.columns[0].no_wrap = True
    task = None
    for name, facts in systems.items():
        if facts["task"] != task:
            task = facts["task"]
            rows.add_row(f"[bold]{tasks[task]}[/]\n")
        flags = " ".join(_flag(option, facts["options"][option]) for option in facts["options"])
        rows.add_row(f"[bold cyan]{name}[/]", f"{facts['title']}\n[dim]{facts['paper']}[/]\n[green]{flags}[/]\n")
    print_table(rows)


def _defaults(options: dict[str, Option]) -> dict[str, object]:
    return {name: option["default"] for name, option in options.items()}


def _flag(name: str, option: Option) -> str:
    return ("--no-" if option["default"] is True else "--") + name.replace("_", "-")
