"""Losses are computed in bfloat16 where the settings say so, but for what bfloat16 makes slower."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from delineate.io.machine import has_bf16
from delineate.training.settings import TrainingSettings

UNIT = (1, (1, 1))
"""A stride, or a dilation, of 1."""


def computes_in_bf16(settings: TrainingSettings, device: torch.device) -> bool:
    """Tell whether training computes in bfloat16; `auto` does where the device has instructions for it."""
    return settings.precision == "bf16" or (settings.precision == "auto" and has_bf16(device))


@contextmanager
def autocast(settings: TrainingSettings, device: torch.device, model: nn.Module) -> Iterator[None]:
    """Compute in bfloat16 where the settings say so; Fabric's own context rounds the targets' boxes to it, too."""
    if not computes_in_bf16(settings, device):
        yield
        return
    slow = device.type == "cpu" and any(
        isinstance(layer, nn.Conv2d) and _is_slow(layer.weight, layer.stride, layer.dilation, layer.groups)
        for layer in model.modules()
    )
    with torch.autocast(device.type, torch.bfloat16), _SlowInFloat32() if slow else nullcontext():
        yield


def _is_slow(weight: Tensor, stride: Any, dilation: Any, groups: int) -> bool:
    """Tell a depthwise convolution from all others, but for 3x3 with a stride and a dilation of 1, which is fast."""
    plain = weight.shape[2:] == (3, 3) and stride in UNIT and dilation in UNIT
    return groups > 1 and weight.shape[1] == 1 and not plain


class _SlowInFloat32(TorchFunctionMode):
    """Depthwise convolutions are computed in float32 on CPUs, but for 3x3 with a stride and a dilation of 1.

    Their gradients have no fast kernel for bfloat16 there: whole steps are 1.2 to 1.6 times as fast without
    (`benchmarks/depthwise.py`). It is entered where a network has such layers; what calls the function without a layer,
    as blurring pools do, is computed so beside them alone.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return (_conv2d if func is F.conv2d else func)(*args, **(kwargs or {}))


def _conv2d(
    input: Tensor,  # noqa: A002 - torch's name, which a caller may use
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    if not torch.is_autocast_enabled("cpu") or not _is_slow(weight, stride, dilation, groups):
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    with torch.autocast("cpu", enabled=False):
        bias = None if bias is None else bias.float()
        return F.conv2d(input.float(), weight.float(), bias, stride, padding, dilation, groups).to(torch.bfloat16)
