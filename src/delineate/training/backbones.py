"""Backbones begin with published weights or those of an earlier run, and pictures are normalised as theirs were."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.models.contract import AnyModel
from delineate.nn.backbones import Backbone, load_backbone_weights, read_weights
from delineate.system.checkpoint import is_checkpoint
from delineate.system.system import System
from delineate.training.settings import TrainingSettings
from delineate.values import InputError, listed


def begin_backbones(
    settings: TrainingSettings, model: AnyModel, preprocess: Preprocess, notes: list[str], *, fresh: bool
) -> Preprocess:
    """Freeze the backbones and, where they are `fresh`, give them the weights that the settings name.

    Returned is the preprocessing with the statistics of those weights. Raises `InputError` for settings of backbones
    where there is none, and for weights of another one.
    """
    backbones = [module for module in model.modules() if isinstance(module, Backbone)]
    if not backbones and (settings.pretrained or settings.backbone_weights or settings.freeze_until is not None):
        raise InputError(f"{settings.model} has no backbone: leave out pretrained, backbone_weights and freeze_until")
    for backbone in backbones:
        if settings.freeze_until is not None:
            backbone.freeze_until(settings.freeze_until)
        if fresh and settings.pretrained:
            load_backbone_weights(backbone, backbone.imagenet_weights(), "pretrained")
            preprocess = replace(preprocess, **backbone.imagenet_statistics())
        if fresh and settings.backbone_weights:
            preprocess = replace(preprocess, **_begin_with(backbone, settings.backbone_weights, notes))
    return preprocess


def _begin_with(backbone: Backbone, file: Path, notes: list[str]) -> dict[str, Any]:
    """Load the weights in a file, say what has no place in the backbone, and give the statistics of their pictures."""
    weights, statistics = _of_run(file) if is_checkpoint(file) else (read_weights(file), backbone.imagenet_statistics())
    left = load_backbone_weights(backbone, weights, str(file))
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
