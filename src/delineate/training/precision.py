"""Losses are computed in bfloat16 where the settings say so, but for what bfloat16 makes slower."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from delineate.io.machine import has_bf16
from delineate.training.settings import TrainingSettings

PLAIN = (1, (1, 1))


def computes_in_bf16(settings: TrainingSettings, device: torch.device) -> bool:
    """Tell whether training computes in bfloat16; `auto` does where the device has instructions for it."""
    return settings.precision == "bf16" or (settings.precision == "auto" and has_bf16(device))


@contextmanager
def autocast(settings: TrainingSettings, device: torch.device) -> Iterator[None]:
    """Compute in bfloat16 where the settings say so; Fabric's own context rounds the targets' boxes to it, too."""
    if not computes_in_bf16(settings, device):
        yield
        return
    with torch.autocast(device.type, torch.bfloat16):
        if device.type == "cpu":
            with _DepthwiseInFloat32():
                yield
        else:
            yield


class _DepthwiseInFloat32(TorchFunctionMode):
    """Depthwise convolutions are computed in float32 on CPUs, but for the plain 3x3 of stride 1.

    Their gradients have no fast kernel for bfloat16 there: whole steps are 1.2 to 1.5 times as fast without
    (`benchmarks/depthwise.py`).
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return (_conv2d if func is F.conv2d else func)(*args, **(kwargs or {}))


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    depthwise = groups > 1 and weight.shape[1] == 1
    plain = weight.shape[2:] == (3, 3) and stride in PLAIN and dilation in PLAIN
    if not depthwise or plain:
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    with torch.autocast("cpu", enabled=False):
        bias = None if bias is None else bias.float()
        return F.conv2d(x.float(), weight.float(), bias, stride, padding, dilation, groups).to(torch.bfloat16)
