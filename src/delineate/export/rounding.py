"""What rounding makes of a system, where a comparison decides: of two that are nearly equal either may be the larger.

Max unpooling puts a value where the maximum of its cell came from; NMS keeps the better of two boxes. Another runtime
adds up in another order, takes the other one of two that are nearly equal, and a value is elsewhere, or another box is
left: no rounding error any more, and no other system.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from delineate.export.graph import Graph
from delineate.system.system import System

TIMES = 32
"""So often either side of most ties is met, and both of two that meet; 16 were enough for two SegNets."""
LAST_DIGITS = 2.0**-21
"""Sums of thousands of weights differ by some of their last digits; changes of weights as small nearly cancel out."""


def as_it_rounds(system: System) -> Iterator[System]:
    """Give the system `TIMES` times with weights whose last digits are others, each to be used before the next.

    What is equal because the picture is the same all over stays equal, as it does in another runtime.
    """
    generator = torch.Generator().manual_seed(0)
    other = replace(system, model=deepcopy(system.model))
    for _ in range(TIMES):
        for mine, own in zip(other.model.parameters(), system.model.parameters(), strict=True):
            mine.copy_(own * (1 + LAST_DIGITS * torch.randn(own.shape, generator=generator)).to(own))
        yield other


def values_as_they_round(
    values: Mapping[str, Tensor], expected: Mapping[str, Tensor], system: System, given: Mapping[str, Tensor]
) -> Iterator[dict[str, Tensor]]:
    """Give what else the graph of a system may give, to be compared with the `values` of another one.

    Of rows, what each of `as_it_rounds` gives. Of logits, where ties are many and lie side by side, what is nearest to
    the values between the lowest and the highest that were given so far.
    """
    low = high = expected.get("logits", torch.zeros(()))
    for other in as_it_rounds(system):
        found = {key: value.cpu() for key, value in Graph(other)(**given).items()}
        if "logits" in found:
            low, high = torch.minimum(low, found["logits"]), torch.maximum(high, found["logits"])
            found = {**expected, "logits": values["logits"].clamp(low, high)}
        yield found
