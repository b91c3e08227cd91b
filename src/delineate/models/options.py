"""Options of presets as types: what the command line says of an option, and its default, stand in its annotation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints


@dataclass(frozen=True)
class Default:
    """The default of an option that presets share: `Annotated[int, Doc("..."), Default(8)]` in a `TypedDict`."""

    value: Any


def defaults_of(shared: type) -> dict[str, Any]:
    """The default of each option in a `TypedDict` of annotated options."""
    hints = get_type_hints(shared, include_extras=True)
    return {
        key: next(note.value for note in annotation.__metadata__ if isinstance(note, Default))
        for key, annotation in hints.items()
    }


def filled(shared: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, and the defaults of all others."""
    return {**defaults_of(shared), **given}
