"""A grid lists what is compared: systems, and the options in which they differ."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from delineate.system.catalog import CATALOG, find_entry, options
from delineate.system.tasks import find_task
from delineate.values import InputError

DEFAULTS: dict[str, tuple[str, ...]] = {
    "segment": ("fcn8s", "segnet_basic", "unet", "deeplabv3plus", "lraspp", "segformer"),
    "localize": ("localizer",),
    "pose": ("pose_regressor",),
    "detect": (
        *("fast_rcnn:num_rois=64", "faster_rcnn:num_rois=64"),
        *("yolov2", "ssd", "retinanet", "fcos"),
        "rtdetr",
    ),
    "instance": ("mask_rcnn:num_rois=64",),
    "keypoints": ("keypoint_rcnn:num_rois=64",),
}
"""Each task has some systems of each family, those that learn most in minutes (docs/results.md). 64 RoIs a picture are
Fast R-CNN's own number (section 2.3); with 512, today's practice, a step takes longer, and a short training has fewer
of them."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry is one system with its options, and the training settings that are not everyone's."""

    name: str
    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def entry_folder(out: Path, name: str) -> Path:
    """Find the folder of the entry of that name in a study's."""
    return out / "entries" / name.replace("/", "_").replace(" ", "_")


def grid(
    task: str,
    *,
    models: Sequence[str] = (),
    backbones: Sequence[str] = (),
    image_sizes: Sequence[int] = (),
    upsamplers: Sequence[str] = (),
    proposers: Sequence[str] = (),
) -> list[Entry]:
    """Combine every system with every option that it has; without `models`, some of each family that has the task.

    A model may have options of its own, `unet:backbone=plain:width=16`. An image size is the side of the square that a
    system resizes to, or else the shorter side. Raises `InputError` for an unknown task, a system of another
    one, and an option or a value that no system of the grid has.
    """
    axes: dict[str, Sequence[Any]] = {
        "backbone": backbones,
        "image_size": image_sizes,
        "upsampler": upsamplers,
        "proposer": proposers,
    }
    asked_for = find_task(task)
    used: dict[str, set[Any]] = {name: set() for name in axes}
    entries: dict[str, Entry] = {}
    for described in models or DEFAULTS[task]:
        model, fixed = _with_options(described)
        if find_entry(model).task != asked_for:
            answers = ", ".join(name for name, entry in CATALOG.items() if entry.task == asked_for)
            raise InputError(f"models: {model} is no answer to '{task}'; these are: {answers}")
        own = options(model)
        asked = {axis: values for axis, values in axes.items() if axis not in fixed}
        taken = {axis: [value for value in values if _takes(own, axis, value)] for axis, values in asked.items()}
        for axis, values in taken.items():
            used[axis] |= set(values)
        chosen = {axis: values for axis, values in taken.items() if values}
        for combination in product(*chosen.values()):
            entry = _entry(model, fixed, dict(zip(chosen, combination, strict=True)), own)
            entries[entry.name] = entry
    for axis, choices in axes.items():
        for value in choices:
            if value not in used[axis]:
                raise InputError(f"{axis}s: none of the systems takes {value}; leave it out")
    return list(entries.values())


def _with_options(described: str) -> tuple[str, dict[str, Any]]:
    """Read the system in `NAME:OPTION=VALUE:...`, and its options as their type hints have them."""
    model, *parts = described.split(":")
    own, values = options(model), {}
    for part in parts:
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
    """Say whether a system has the option, and the value among its choices."""
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
    """Make an entry: `fixed` are the system's own options, `values` those of the grid."""
    arguments = {axis: value for axis, value in values.items() if axis in own}
    settings = {} if "image_size" in own or "image_size" not in values else {"short_side": values["image_size"]}
    return Entry(
        name=" ".join((model, *(f"{name}={value}" for name, value in fixed.items()), *map(str, values.values()))),
        model=model,
        arguments={**fixed, **arguments},
        settings=settings,
    )
