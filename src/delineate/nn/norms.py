"""Batch norms count over the pictures of all processes, and of one value a channel take what they have seen so far."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

FEW = "a batch norm gets one value a channel, and takes its running statistics; larger batches or crops learn better"


def take_single_values(model: nn.Module, say: Callable[[str], None]) -> None:
    """Let batch norms train on a batch of one picture whose map is 1 x 1, which has no variance; said once.

    PyTorch raises there, as its running statistics would become infinite.
    """
    said: list[str] = []
    paused: set[nn.Module] = set()

    def before(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if norm.training and inputs[0].numel() == inputs[0].shape[1]:
            norm.training = False
            paused.add(norm)
            if not said:
                said.append(FEW)
                say(FEW)

    def after(norm: nn.Module, inputs: Any, outputs: Any) -> None:
        if norm in paused:
            norm.training = True
            paused.remove(norm)

    for module in _norms(model):
        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)


def share_norms(model: nn.Module) -> int:
    """Let batch norms in training count over the pictures of all processes, which have to call them equally often.

    Each process then learns as one would from all their pictures, on any device: torch's `SyncBatchNorm`, which has the
    same formulas, works on GPUs alone. Those of a module with `calls_vary`, which calls them more often for larger
    pictures, count over their own process: the others would wait for ever. Gives the number of norms that are shared.
    """
    own = {norm for module in model.modules() if getattr(module, "calls_vary", False) for norm in _norms(module)}
    norms = [norm for norm in _norms(model) if norm not in own]
    for norm in norms:
        norm.forward = partial(_shared, norm)  # type: ignore[method-assign]
    return len(norms)


def _norms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


class _OfAll(torch.autograd.Function):
    """Add up what processes have; a gradient is what all of them ask for."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def _shared(norm: _BatchNorm, values: Tensor) -> Tensor:
    if not norm.training:
        return type(norm).forward(norm, values)
    dims, shape = [0, *range(2, values.ndim)], [1, -1, *[1] * (values.ndim - 2)]
    wide = values.float()
    count = wide.new_tensor([wide.numel() // wide.shape[1]])
    sums = _of_all(torch.cat([wide.sum(dims), count]))
    mean, num = sums[:-1] / sums[-1], sums[-1]
    centred = wide - mean.view(shape)
    variance = _of_all(centred.square().sum(dims)) / num
    _remember(norm, mean.detach(), (variance * num / (num - 1)).detach())
    scale = (variance + norm.eps).rsqrt()
    scaled = centred * (scale if norm.weight is None else scale * norm.weight).view(shape)
    found: Tensor = (scaled if norm.bias is None else scaled + norm.bias.view(shape)).to(values.dtype)
    for name in ("drop", "act"):  # timm's norms go on with these
        found = getattr(norm, name)(found) if hasattr(norm, name) else found
    return found


def _of_all(values: Tensor) -> Tensor:
    total: Tensor = _OfAll.apply(values)
    return total


@torch.no_grad()
def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics as torch does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean), share)
    norm.running_var.lerp_(variance.to(norm.running_var), share)
