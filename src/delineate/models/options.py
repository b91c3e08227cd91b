"""Options of presets are types: what the command line says of an option, and its default, stand in its annotation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from typing_extensions import Doc

FrozenNorm = Annotated[
    bool, Doc("Keep the backbone's batch norms as loaded: for pretrained weights and few pictures a step.")
]
ImageSize = Annotated[int, Doc("Side in pixels of the square that every picture is resized to.")]


@dataclass(frozen=True)
class Default:
    """Presets share an option with this default: `Annotated[int, Doc("..."), Default(8)]` in a `TypedDict`."""

    value: Any


def defaults_of(shared: type) -> dict[str, Any]:
    """List the default of each option in a `TypedDict` of annotated options."""
    hints = get_type_hints(shared, include_extras=True)
    return {
        key: next(note.value for note in annotation.__metadata__ if isinstance(note, Default))
        for key, annotation in hints.items()
    }


def filled(shared: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the options that were given by the defaults of all others."""
    return {**defaults_of(shared), **given}
