"""Rare classes are given pictures that come more often, objects that count more, a loss that looks at mistakes."""

from collections.abc import Sequence

import torch

from delineate.data.balancing import balance, object_weights
from delineate.data.dataset import Dataset
from delineate.models.contract import AnyModel
from delineate.nn.classifying import ClassLoss
from delineate.system.catalog import find_entry
from delineate.training.settings import TrainingSettings
from delineate.values import InputError


def check_rare(settings: TrainingSettings, model: AnyModel) -> None:
    """Raise `InputError` for class weights and a focal loss where no classes are compared by a softmax."""
    losses = _class_losses(model)
    weighs_pixels = "label_map" in find_entry(settings.model).task.needs
    if settings.class_weights != "none" and not (losses or weighs_pixels):
        raise InputError(f"class_weights: {settings.model} weighs no classes; leave it out")
    if settings.focal and not losses:
        raise InputError(f"focal: {settings.model} has no softmax of classes that it could change; leave it out")


def weigh_classes(settings: TrainingSettings, model: AnyModel, dataset: Dataset) -> list[str]:
    """Set the loss of classes as the settings say, in a resumed run, too; the lines say by which counts."""
    losses, lines = _class_losses(model), list[str]()
    for loss in losses:
        loss.gamma = settings.focal
    if losses and settings.class_weights != "none":
        weights, line = object_weights(dataset)
        for loss in losses:
            loss.weights.copy_(weights)
        lines.append(line)
    return lines


def repeats(settings: TrainingSettings, dataset: Dataset, notes: list[str]) -> torch.Tensor | None:
    """Say how often each picture is to come in an epoch, where not all come once; a line goes to `notes`."""
    if settings.sampler == "shuffled":
        return None
    factors, line = balance(dataset)
    notes.append(line)
    return factors


def _class_losses(model: AnyModel) -> Sequence[ClassLoss]:
    return [module for module in model.modules() if isinstance(module, ClassLoss)]
