"""Batch norms folded into the convolutions before them: the same function, with a pass over every map less."""

import copy
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from delineate.nn.backbones import Backbone

TOLERANCE = 1e-3
"""Of a level's largest value: what rounding may change."""


@torch.no_grad()
def fold_backbones(model: nn.Module) -> None:
    """Fold the batch norms of every backbone in a model in evaluation mode.

    A backbone that would then give other levels, as something else looks at what a convolution gives, stays as it is.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Backbone):
                setattr(parent, name, _folded(child))


def narrow_backbones(model: nn.Module) -> None:
    """Keep the convolutions of every backbone in bfloat16, as `torch.autocast` would convert them in every call."""
    backbones = (child for child in model.modules() if isinstance(child, Backbone))
    for conv in (part for backbone in backbones for part in backbone.modules() if isinstance(part, nn.Conv2d)):
        conv.to(torch.bfloat16)


def _folded(backbone: Backbone) -> Backbone:
    like = next(backbone.parameters())
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(like)
    folded = copy.deepcopy(backbone)
    for norm, conv in _pairs(folded, images).items():
        _fold(conv, norm)
        _replace(folded, norm, nn.Identity())
    levels = zip(folded(images).levels, backbone(images).levels, strict=True)
    same = all((level - before).abs().max() <= TOLERANCE * before.abs().max() for level, before in levels)
    return folded if same else backbone


def _pairs(module: nn.Module, images: Tensor) -> dict[nn.BatchNorm2d, nn.Conv2d]:
    """Run the module, and find the norms that take what a convolution gives; what runs more than once is left out."""
    made: dict[int, tuple[Tensor, nn.Conv2d]] = {}
    pairs: list[tuple[nn.BatchNorm2d, nn.Conv2d]] = []

    def remember(conv: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        made[id(output)] = output, conv

    def follow(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        if id(inputs[0]) in made:
            pairs.append((norm, made[id(inputs[0])][1]))

    hooks = [part.register_forward_hook(remember) for part in module.modules() if type(part) is nn.Conv2d]
    hooks += [part.register_forward_pre_hook(follow) for part in module.modules() if type(part) is nn.BatchNorm2d]
    module(images)
    for hook in hooks:
        hook.remove()
    uses = Counter(part for pair in pairs for part in pair)
    return {norm: conv for norm, conv in pairs if uses[norm] == uses[conv] == 1 and norm.track_running_stats}


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )


def _replace(module: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in module.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
