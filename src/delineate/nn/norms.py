"""Batch norms that get one value of a channel take what they have seen so far in its place."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
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

    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(before)
            module.register_forward_hook(after)
