"""How often a computation reads from the device to the host: on a GPU each read waits for everything before it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

READS = {
    Tensor.__bool__: "bool",
    Tensor.__int__: "int",
    Tensor.__float__: "float",
    Tensor.__index__: "index",
    Tensor.item: "item",
    Tensor.tolist: "tolist",
    Tensor.numpy: "numpy",
    Tensor.cpu: "cpu",
    Tensor.nonzero: "nonzero",
    torch.nonzero: "nonzero",
    torch.unique: "unique",
    torch.equal: "equal",
    torch.masked_select: "masked_select",
}


class ReadsCounted(TorchFunctionMode):
    """While entered, collects the name of every read; choosing by a mask is one, as its length must be known."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in READS:
            self.names.append(READS[func])
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(part, Tensor) and part.dtype == torch.bool for part in index):
                self.names.append("mask")
        return func(*args, **(kwargs or {}))
