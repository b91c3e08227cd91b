"""Of two values that are nearly equal rounding chooses; a graph that chose the other one is no other system."""

import pytest
import torch
from tests.models.systems import system_of
from torch import Tensor

from delineate.export.agreement import compare_values
from delineate.export.graph import Graph
from delineate.export.rounding import unpools, within_rounding
from delineate.system.system import System

CLOSE = 1e-4


@pytest.fixture
def system() -> System:
    """A SegNet-Basic one of whose first channels adds up two neighbours."""
    system = system_of("segnet_basic")
    weight = next(parameter for parameter in system.model.parameters() if parameter.ndim == 4)
    with torch.no_grad():
        weight[0] = 0
        weight[0, 0, 3, 3:5] = 0.5
    return system


def tied() -> dict[str, Tensor]:
    """A picture with two equal maxima in a cell of that channel: sums of the same two values, weighed otherwise."""
    picture = torch.randint(0, 200, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture[:, :, 32:34, 32:35] = 0
    picture[:, :, 32, 33] = 255
    return {"pictures": picture}


@torch.no_grad()
def logits(system: System, raised: float = 0.0) -> Tensor:
    """What the system gives, where the second of the sums is raised."""

    def raise_it(_: object, given: tuple[Tensor, ...]) -> None:
        given[0][:, :, 32, 34] += raised

    handle = system.model.register_forward_pre_hook(raise_it)
    values = Graph(system)(**tied())["logits"]
    handle.remove()
    return values


@torch.no_grad()
def apart(values: Tensor, system: System) -> float:
    """How far values are from what the verdict takes, as it measures that."""
    expected = logits(system)
    nearest = within_rounding(values, system, tied(), expected, CLOSE)
    ours, theirs = ({"logits": some, "label_map": expected.argmax(1)} for some in (values, nearest))
    return compare_values(ours, theirs, None, 0.0, "").figures["logits"]


def test_a_graph_that_took_the_other_maximum_is_within_rounding(system: System) -> None:
    assert unpools(system)
    other = logits(system, raised=1e-6)
    assert float((other - logits(system)).abs().max()) > 10 * CLOSE
    assert apart(other, system) <= CLOSE


def test_a_graph_that_is_another_is_not(system: System) -> None:
    assert apart(logits(system, raised=1.0), system) > 10 * CLOSE
    one = logits(system)
    one[0, 0, 5, 5] += 0.01
    assert apart(one, system) > CLOSE
    one[0, 0, 5, 5] = torch.nan
    assert apart(one, system) == float("inf")
