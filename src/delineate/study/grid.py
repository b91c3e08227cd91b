"""What is compared: systems, and the options in which they differ."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from delineate.system.catalog import CATALOG, Task, find_system, options
from delineate.values import InputError

Question = Literal["detect", "instance", "segment", "keypoints"]
TASKS: dict[Question, Task] = {"detect": "detect", "instance": "mask", "segment": "segment", "keypoints": "pose"}
DEFAULTS: dict[Question, tuple[str, ...]] = {
    "detect": ("fast_rcnn:num_rois=64", "faster_rcnn:num_rois=64", "yolov1", "yolov2", "ssd", "detr_small"),
    "instance": ("mask_rcnn:num_rois=64",),
    "segment": ("fcn32s", "fcn8s", "segnet_basic", "unet"),
    "keypoints": ("keypoint_rcnn:num_rois=64",),
}
"""One or two of each family, and those that learn something in minutes. 64 RoIs a picture are Fast R-CNN's own number
(section 2.3); with 512, today's practice, a step takes longer, and a short training has fewer of them."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One system with its options, and the training settings that are not everyone's."""

    name: str
    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def grid(
    question: Question,
    *,
    models: Sequence[str] = (),
    backbones: Sequence[str] = (),
    image_sizes: Sequence[int] = (),
    upsamplers: Sequence[str] = (),
    proposers: Sequence[str] = (),
) -> list[Entry]:
    """Every system with every option that it has; without `models`, some of each family.

    A model may have options of its own, `unet:backbone=plain:width=16`. An image size is the side of the square that a
    system resizes to, or else the shorter side. Raises `InputError` for a system of another task, and for an option or
    a value that no system of the grid has.
    """
    axes: dict[str, Sequence[Any]] = {
        "backbone": backbones,
        "image_size": image_sizes,
        "upsampler": upsamplers,
        "proposer": proposers,
    }
    used: dict[str, set[Any]] = {name: set() for name in axes}
    entries: dict[str, Entry] = {}
    for described in models or DEFAULTS[question]:
        model, fixed = _with_options(described)
        if find_system(model).task != TASKS[question]:
            there = ", ".join(name for name, system in CATALOG.items() if system.task == TASKS[question])
            raise InputError(f"models: {model} is no answer to '{question}'; these are: {there}")
        own = options(model)
        asked = {axis: values for axis, values in axes.items() if axis not in fixed}
        taken = {axis: [value for value in values if _takes(own, axis, value)] for axis, values in asked.items()}
        for axis, values in taken.items():
            used[axis] |= set(values)
        chosen = {axis: values for axis, values in taken.items() if values}
        for combination in product(*chosen.values()):
            entry = _entry(model, fixed, dict(zip(chosen, combination, strict=True)), own)
            entries[entry.name] = entry
    for axis, every in axes.items():
        for value in every:
            if value not in used[axis]:
                raise InputError(f"{axis}s: none of the systems takes {value}; leave it out")
    return list(entries.values())


def _with_options(described: str) -> tuple[str, dict[str, Any]]:
    """The system in `NAME:OPTION=VALUE:...`, and its options as their type hints have them."""
    model, *given = described.split(":")
    own, values = options(model), {}
    for part in given:
        name, equals, text = part.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in own:
            raise InputError(f"models: '{part}' is no OPTION=VALUE of {model}; its options are {', '.join(own)}")
        try:
            values[name] = TypeAdapter(own[name].annotation).validate_python(text)
        except ValidationError as error:
            raise InputError(f"models: {model}:{part}: {error.errors()[0]['msg']}") from None
    return model, values


def _takes(own: Mapping[str, inspect.Parameter], axis: str, value: Any) -> bool:
    """Whether a system has the option, and the value among its choices."""
    if axis == "image_size":
        return True
    if axis not in own:
        return False
    annotation = own[axis].annotation
    choices = get_args(get_args(annotation)[0]) if get_origin(get_args(annotation)[0]) is Literal else ()
    return not choices or value in choices


def _entry(
    model: str, fixed: Mapping[str, Any], values: Mapping[str, Any], own: Mapping[str, inspect.Parameter]
) -> Entry:
    """`fixed` are the system's own options, `values` those of the grid."""
    arguments = {axis: value for axis, value in values.items() if axis in own}
    settings = {} if "image_size" in own or "image_size" not in values else {"short_side": values["image_size"]}
    return Entry(
        name=" ".join((model, *(f"{name}={value}" for name, value in fixed.items()), *map(str, values.values()))),
        model=model,
        arguments={**fixed, **arguments},
        settings=settings,
    )
