"""Weights are moved by an optimizer whose learning rate changes over the run, and may be averaged."""

import copy
import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from delineate.nn.backbones import Backbone
from delineate.training.settings import TrainingSettings

Network = TypeVar("Network", bound=nn.Module)


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> Optimizer:
    """Make AdamW or SGD over what is trained now or after thawing.

    Biases, and norms, whose weights have one dimension, do not decay. A group has the `share` of the learning rate that
    its weights learn at. Raises `InputError` where a decay by stages is asked of a backbone without any.
    """
    shares = backbone_shares(model, settings)
    later = thawing(model) if settings.thaw is not None else set()
    parted: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad or weight in later:
            decays = weight.ndim > 1 and name.rpartition(".")[2] != "bias"
            parted.setdefault((shares.get(weight, 1.0), decays), []).append(weight)
    groups = [
        {"params": weights, "weight_decay": settings.decay if decays else 0.0, "share": share}
        for (share, decays), weights in sorted(parted.items(), key=lambda part: part[0], reverse=True)
    ]
    if settings.optimizer == "sgd":
        return SGD(groups, lr=settings.peak_learning_rate, momentum=0.9, nesterov=True, fused=True)
    return AdamW(groups, lr=settings.peak_learning_rate, fused=True)


def backbone_shares(model: nn.Module, settings: TrainingSettings) -> dict[nn.Parameter, float]:
    """Give the weights of backbones that learn more slowly their shares of the learning rate.

    A stage learns at `layer_decay` times the rate of the one behind it (Clark et al. 2020, ELECTRA, section 3.2; Bao et
    al. 2022, BEiT, appendix H). Raises `InputError` where the stages cannot be told apart.
    """
    shares: dict[nn.Parameter, float] = {}
    for backbone in (module for module in model.modules() if isinstance(module, Backbone)):
        shares |= dict.fromkeys(backbone.parameters(), settings.backbone_rate)
        if settings.layer_decay != 1:
            for depth, stage in enumerate(reversed(backbone.told_apart("layer_decay"))):
                shares |= dict.fromkeys(stage.parameters(), settings.backbone_rate * settings.layer_decay**depth)
    return shares


def thawing(model: nn.Module) -> set[nn.Parameter]:
    """Collect the weights that are frozen now and thaw later."""
    backbones = [module for module in model.modules() if isinstance(module, Backbone)]
    stages = {weight for backbone in backbones for stage in backbone.frozen_stages for weight in stage.parameters()}
    return stages - {weight for backbone in backbones for norm in backbone.frozen_norms for weight in norm.parameters()}


def thaw(model: nn.Module) -> None:
    """Let what was frozen by stages train."""
    for module in model.modules():
        if isinstance(module, Backbone) and module.frozen_stages:
            module.thaw()


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
