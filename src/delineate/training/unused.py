"""No option is without effect: what is given and changes nothing is refused, before data are read."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn

from delineate.system.catalog import build
from delineate.training.settings import TrainingSettings
from delineate.values import Categories, InputError

IN_PLACE_OF: dict[str, tuple[str, ...]] = {"ssd": ("scale", "colour", "elastic"), "yolo": ("scale",)}
"""A paper's augmentation (`--augment ssd`) has ranges of its own in the place of these."""
SOME = Categories(class_names=("a", "b"), label_map_names=("a", "b"), keypoint_names=("c",))
"""For some names a system is built, to look at what its options do."""


def refuse_unused(settings: TrainingSettings, otherwise: TrainingSettings) -> None:
    """Raise `InputError` for what `settings` have and nothing uses; with `otherwise` it was not said."""
    way = settings.augment
    for name in IN_PLACE_OF.get(way, ()):
        if getattr(settings, name) != getattr(otherwise, name):
            raise InputError(
                f"{name}: --augment {way} has its own {name}, and takes no other; leave it out, or add --augment scale"
            )
    given = {key: value for key, value in settings.arguments.items() if value != otherwise.arguments.get(key)}
    form = _form_with(settings.model, settings.arguments) if given else None
    for key in given:
        without = {**settings.arguments, key: otherwise.arguments.get(key)}
        try:
            unchanged = _form_with(settings.model, without) == form
        except InputError:  # only together with it the others make sense
            continue
        if unchanged:
            raise InputError(f"{key}: changes nothing in this {settings.model}, as its other options are; leave it out")


def can_be_built(name: str, arguments: Mapping[str, Any]) -> bool:
    """Tell whether a system can have these options."""
    try:
        _form_with(name, arguments)
    except InputError:
        return False
    return True


def _form_with(name: str, arguments: Mapping[str, Any]) -> Any:
    """Build the system without its weights' values, and describe it."""
    with torch.device("meta"):
        return _form(build(name, SOME, **arguments))


def _form(model: nn.Module) -> Any:
    """Describe each module by its type, its plain attributes and the shapes of its weights."""
    return [
        (
            key,
            type(module),
            {name: plain for name in vars(module) if name[0] != "_" and (plain := _plain(vars(module)[name])) != []},
            [(name, weight.shape, weight.requires_grad) for name, weight in module.named_parameters(recurse=False)],
            [(name, value.shape) for name, value in module.named_buffers(recurse=False)],
        )
        for key, module in model.named_modules()
    ]


def _plain(value: Any) -> Any:
    """Reduce a value to what can be compared; of anything else, the modules and shapes tell."""
    if isinstance(value, str | int | float | type):
        return value
    if isinstance(value, tuple | list | range):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if is_dataclass(value):
        return type(value), [_plain(getattr(value, field.name)) for field in fields(value)]
    return getattr(value, "__qualname__", None)
