"""The schema is all that the command line says of systems and settings, without the seconds that importing them takes.

`make schema` writes it from the catalog, the presets' signatures and `TrainingSettings`, which remain the only truth; a
test fails when that is to be done again.
"""

import json
import re
import types
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypedDict, Union, get_args, get_origin

FILE = Path(__file__).with_suffix(".json")
NOT_OPTIONS = ("model", "data", "arguments")
TYPES: dict[str, type] = {kind.__name__: kind for kind in (bool, int, float, str, Path)}


class Option(TypedDict):
    """An option takes `count` values of a type, or one of the choices; where it is `optional`, it may have none."""

    type: str
    count: int
    choices: list[str]
    optional: bool
    default: Any
    help: str
    panel: str


class SystemFacts(TypedDict):
    """These facts of a system stand in the catalog, but for the options, which are its preset's."""

    title: str
    paper: str
    task: str
    recipe: dict[str, Any]
    options: dict[str, Option]


class Schema(TypedDict):
    """The settings of every training, the titles of the tasks, and the systems."""

    settings: dict[str, Option]
    tasks: dict[str, str]
    systems: dict[str, SystemFacts]


@cache
def schema() -> Schema:
    """Read the schema."""
    read: Schema = json.loads(FILE.read_text(encoding="utf-8"))
    return read


def annotation(option: Option) -> Any:
    """Give the type hint of an option."""
    hint: Any = Literal[tuple(option["choices"])] if option["choices"] else TYPES[option["type"]]
    if option["count"] > 1:
        hint = types.GenericAlias(tuple, (hint,) * option["count"])
    return hint | None if option["optional"] else hint


def make_schema() -> Schema:
    """Make the schema anew, from what it is the schema of."""
    from delineate.system.catalog import CATALOG, options
    from delineate.training.settings import TrainingSettings

    fields = {name: field for name, field in TrainingSettings.model_fields.items() if name not in NOT_OPTIONS}
    made: Schema = {
        "settings": {
            name: _option(field.annotation, field.default, field.description, _panel(field))
            for name, field in fields.items()
        },
        "tasks": {entry.task.name: entry.task.title for entry in CATALOG.values()},
        "systems": {
            name: {
                "title": entry.title,
                "paper": entry.paper,
                "task": entry.task.name,
                "recipe": dict(entry.recipe),
                "options": {
                    option: _option(*_documented(parameter.annotation, parameter.default), f"Options of {name}")
                    for option, parameter in options(name).items()
                },
            }
            for name, entry in CATALOG.items()
        },
    }
    as_read: Schema = json.loads(json.dumps(made, default=str))
    return as_read


def _panel(field: Any) -> str:
    panel: str = field.json_schema_extra["panel"]
    return panel


def _documented(hint: Any, default: Any) -> tuple[Any, Any, str | None]:
    """Part a preset's annotation into the type and its `Doc`."""
    notes = getattr(hint, "__metadata__", ())
    help_text = next((note.documentation for note in notes if hasattr(note, "documentation")), None)
    return (get_args(hint)[0] if notes else hint), default, help_text


def _option(hint: Any, default: Any, help_text: str | None, panel: str) -> Option:
    optional = get_origin(hint) in (Union, types.UnionType)
    if optional:
        (hint,) = set(get_args(hint)) - {types.NoneType}
    several = get_args(hint) if get_origin(hint) is tuple else (hint,)
    choices = get_args(several[0]) if get_origin(several[0]) is Literal else ()
    return {
        "type": (type(choices[0]) if choices else several[0]).__name__,
        "count": len(several),
        "choices": [str(choice) for choice in choices],
        "optional": optional,
        "default": default,
        "help": help_text or "",
        "panel": panel,
    }


def write_schema() -> None:
    """Write the schema, an option a line."""
    text = json.dumps(make_schema(), indent=1, ensure_ascii=False)
    leaves = re.sub(r"\{[^{}]*\}", lambda leaf: " ".join(leaf[0].split()), text)
    FILE.write_text(leaves + "\n", encoding="utf-8")
