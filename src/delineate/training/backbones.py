"""Backbones begin with published weights or those of an earlier run, and pictures are normalised as theirs were."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from timm import is_model
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.models.contract import AnyModel
from delineate.nn.backbones import (
    PLACE,
    Backbone,
    cached_weights,
    load_backbone_weights,
    named_weights,
    read_weights,
)
from delineate.system.catalog import options
from delineate.system.checkpoint import is_checkpoint
from delineate.system.system import System
from delineate.training.settings import TrainingSettings
from delineate.training.unused import can_be_built
from delineate.values import InputError, counted, listed

OF_BACKBONES = ("pretrained", "backbone_weights", "freeze_until", "backbone_rate", "layer_decay")
"""These settings have no effect on a system without a backbone."""
FEW = 1000
"""From fewer pictures, little of what ImageNet teaches can be learned."""


def find_published(settings: TrainingSettings) -> tuple[TrainingSettings, list[str]]:
    """Name the file of ImageNet weights that `pretrained="auto"` finds on this machine; a line says which.

    Where the settings name no backbone, and there are weights of another one that the system can have, it takes that
    one. Where there are none, it begins from scratch, and says so.
    """
    if settings.pretrained != "auto":
        return settings, []
    if "backbone" not in options(settings.model):
        raise InputError(f"pretrained: {settings.model} has no choice of backbones; leave it out")
    usual, named = options(settings.model)["backbone"].default, named_weights()
    backbone = settings.arguments.get("backbone", usual)
    file = named.get(backbone.split(".")[0]) or cached_weights(backbone)
    if file is None and "backbone" not in settings.arguments:
        fitting = (name for name in named if can_be_built(settings.model, {**settings.arguments, "backbone": name}))
        if (found := next(fitting, None)) is not None:
            backbone, file = found, named[found]
    given = {name: getattr(settings, name) for name in settings.model_fields_set - {"pretrained"}}
    if file is None:
        return TrainingSettings(**given), [
            f"pretrained: no weights of {backbone} are on this machine, neither where {PLACE} points nor in timm's "
            "cache: it begins from scratch; --pretrained download fetches them"
        ]
    instead = "" if backbone == usual else f" (its usual one is {usual})"
    given["arguments"] = {**settings.arguments, "backbone": backbone}
    return TrainingSettings(**given, backbone_weights=file), [f"pretrained: backbone {backbone}{instead}, from {file}"]


def from_scratch(settings: TrainingSettings, model: AnyModel, num_pictures: int) -> list[str]:
    """Say, where pictures are few and nothing is known of any before them, which weights would bring much."""
    names = [module.name for module in model.modules() if isinstance(module, Backbone) and module.imagenet_statistics()]
    if (
        not names
        or num_pictures >= FEW
        or settings.backbone_weights
        or settings.weights
        or settings.pretrained != "none"
    ):
        return []
    return [
        f"from scratch on {counted(num_pictures, 'picture')}: with fewer than {FEW:,}, ImageNet weights to begin with "
        f"often bring much (docs/results.md); {_how_to_begin(settings, names[0])}"
    ]


def _how_to_begin(settings: TrainingSettings, backbone: str) -> str:
    """Name the options that begin with weights: of the backbone, or of another one that is on this machine."""
    named: dict[str, Path] = {}
    with suppress(InputError):  # nobody asked for what the environment names
        named = named_weights()
    if backbone.split(".")[0] in named or cached_weights(backbone):
        return "--pretrained auto takes those on this machine"
    for other in named:
        if can_be_built(settings.model, {**settings.arguments, "backbone": other}):
            return f"--backbone {other} --pretrained auto takes those on this machine"
    return f"--pretrained download fetches {backbone}'s"


def begin_backbones(
    settings: TrainingSettings, model: AnyModel, preprocess: Preprocess, notes: list[str], *, fresh: bool
) -> Preprocess:
    """Freeze the backbones and, where they are `fresh`, give them the weights that the settings name.

    Returned is the preprocessing with the statistics of those weights. Raises `InputError` for settings of backbones
    where there is none, and for weights of another one.
    """
    backbones = [module for module in model.modules() if isinstance(module, Backbone)]
    usual = {name: field.default for name, field in TrainingSettings.model_fields.items()}
    if not backbones and any(getattr(settings, name) != usual[name] for name in OF_BACKBONES):
        raise InputError(f"{settings.model} has no backbone: leave out {', '.join(OF_BACKBONES)}")
    for backbone in backbones:
        if settings.freeze_until is not None:
            backbone.freeze_until(settings.freeze_until)
        if fresh and settings.pretrained == "download":
            load_backbone_weights(backbone, backbone.imagenet_weights(), "pretrained")
            preprocess = replace(preprocess, **backbone.imagenet_statistics())
        if fresh and settings.backbone_weights:
            preprocess = replace(preprocess, **_begin_with(backbone, settings.backbone_weights, notes))
    return preprocess


def _begin_with(backbone: Backbone, file: Path, notes: list[str]) -> dict[str, Any]:
    """Load the weights in a file, say what has no place in the backbone, and give the statistics of their pictures."""
    weights, statistics = _of_run(file) if is_checkpoint(file) else (read_weights(file), backbone.imagenet_statistics())
    named = file.stem.split(".")[0]
    another = f" (its name says {named}: add --backbone {named})" if named != backbone.name and is_model(named) else ""
    left = load_backbone_weights(backbone, weights, f"{file}{another}")
    note = f"backbone_weights: those of {file}"
    if left:
        note += f", but for {listed(left)}, which have no place in {backbone.name}"
    if statistics:
        values = "; ".join(f"{name} {', '.join(f'{value:.3g}' for value in statistics[name])}" for name in statistics)
        note += f"; pictures are normalised as theirs were: {values}"
    notes.append(note)
    return statistics


def _of_run(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take the backbone of a system that was trained here, and the statistics that it was trained with."""
    earlier = System.load(file)
    for module in earlier.model.modules():
        if isinstance(module, Backbone):
            return module.state_dict(), {name: getattr(earlier.preprocess, name) for name in ("mean", "std")}
    raise InputError(f"{file}: a {earlier.name}, which has no backbone; name weights of the backbone")
