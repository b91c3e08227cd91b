"""What rounding makes of a value, where a maximum decides: of two that are nearly equal either may be the larger one.

Max unpooling puts a value where the maximum of its cell came from. Another runtime adds up in another order, takes the
other one of two nearly equal maxima, and the value is elsewhere: no rounding error any more, and no other system.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from delineate.export.agreement import largest
from delineate.export.graph import Graph
from delineate.models.segmentation.upsamplers import MaxUnpool
from delineate.system.system import System

TIMES = 32
"""So often either side of most ties is met, and both of two that meet; 16 were enough for two SegNets."""
LAST_DIGITS = 2.0**-21
"""Sums of thousands of weights differ by some of their last digits; changes of weights as small nearly cancel out."""


def unpools(system: System) -> bool:
    """Tell whether a system has max unpooling."""
    return any(isinstance(module, MaxUnpool) for module in system.model.modules())


def within_rounding(
    values: Tensor, system: System, given: Mapping[str, Tensor], expected: Tensor, close: float
) -> Tensor:
    """Find what of all that the system may give, as it rounds, is nearest to the `values` of another graph.

    Where they are not as near as `close`, a share of the largest, to what is `expected`, the system is computed anew,
    at most `TIMES` times, until each is so near to between the lowest and the highest that it gave.
    """
    low = high = expected
    again = _rounded(system, given)
    while ((values - values.clamp(low, high)).abs() > close * largest(expected)).any():
        logits = next(again, None)
        if logits is None:
            break
        low, high = torch.minimum(low, logits), torch.maximum(high, logits)
    return values.clamp(low, high)


def _rounded(system: System, given: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """Compute logits with weights whose last digits are others.

    What is equal because the picture is the same all over stays equal, as it does in another runtime.
    """
    generator, model = torch.Generator().manual_seed(0), deepcopy(system.model)
    graph = Graph(replace(system, model=model))
    for _ in range(TIMES):
        for mine, own in zip(model.parameters(), system.model.parameters(), strict=True):
            mine.copy_(own * (1 + LAST_DIGITS * torch.randn(own.shape, generator=generator)).to(own))
        yield graph(**given)["logits"].cpu()
