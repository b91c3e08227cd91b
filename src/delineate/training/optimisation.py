"""Weights are moved by an optimizer whose learning rate changes over the run, and may be averaged."""

import copy
import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from delineate.training.settings import TrainingSettings

Network = TypeVar("Network", bound=nn.Module)


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> Optimizer:
    """Make AdamW or SGD over what is not frozen; biases and norms, whose weights have one dimension, do not decay."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim > 1], "weight_decay": settings.decay},
        {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "sgd":
        return SGD(groups, lr=settings.peak_learning_rate, momentum=0.9, nesterov=True, fused=True)
    return AdamW(groups, lr=settings.peak_learning_rate, fused=True)


def learning_rate(settings: TrainingSettings, progress: float) -> float:
    """Compute the learning rate after the share `progress` of a run: a linear rise, then the schedule down to zero.

    `cosine` is Loshchilov & Hutter 2017, SGDR, equation 5 without restarts; `poly` is Chen et al. 2018, DeepLab,
    section 4.1, power 0.9.
    """
    if progress < settings.warmup:
        factor = 0.01 + 0.99 * progress / settings.warmup
    else:
        rest = 1 - (progress - settings.warmup) / (1 - settings.warmup)
        factor = {"cosine": (1 - math.cos(math.pi * rest)) / 2, "poly": max(rest, 0) ** 0.9, "constant": 1.0}[
            settings.schedule
        ]
    return settings.peak_learning_rate * factor


def begin_average(model: Network) -> Network:
    """Copy the model, in evaluation mode, as what `update_average` moves after it."""
    return copy.deepcopy(model).eval().requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the exponential moving average of a model's weights and batch statistics on after `step` (1, 2, ...).

    The decay rises with the steps, `(1 + step) / (10 + step)` at most, so that a short run does not remember its start.
    torch's `AveragedModel` is not used: it forgets the start at once, and waits for the device at every step.
    """
    weight = 1 - min(decay, (1 + step) / (10 + step))
    averaged: list[Tensor] = []
    current: list[Tensor] = []
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            averaged.append(mean)
            current.append(value)
        else:
            mean.copy_(value)
    torch._foreach_lerp_(averaged, current, weight)
