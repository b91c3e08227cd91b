"""Batch norms folded into the convolutions before them: the same function, with a pass over every map less."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


@torch.no_grad()
def fold_norms(module: nn.Module, run: Callable[[], object]) -> None:
    """Fold each batch norm that takes what one convolution gives into it, for use in evaluation mode.

    `run` runs the module once, which tells what follows what. A convolution or a norm that runs more than once is left
    as it is.
    """
    made: dict[int, tuple[Tensor, nn.Conv2d]] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    calls: Counter[nn.Module] = Counter()

    def remember(conv: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        calls[conv] += 1
        made[id(output)] = output, conv

    def follow(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        calls[norm] += 1
        if id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][1], norm))

    convs = [part for part in module.modules() if type(part) is nn.Conv2d]
    norms = [part for part in module.modules() if type(part) is nn.BatchNorm2d]
    hooks = [conv.register_forward_hook(remember) for conv in convs]
    hooks += [norm.register_forward_pre_hook(follow) for norm in norms]
    run()
    for hook in hooks:
        hook.remove()
    folded = {norm: conv for conv, norm in pairs if calls[conv] == calls[norm] == 1 and norm.track_running_stats}
    for norm, conv in folded.items():
        _fold(conv, norm)
    for parent in module.modules():
        for name, child in parent.named_children():
            if child in folded:
                setattr(parent, name, nn.Identity())


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
