"""Of two values that are nearly equal rounding chooses; a graph that chose the other one is no other system."""

from typing import Any

import pytest
import torch
from numpy.typing import NDArray
from tests.data.samples import InMemory
from tests.models.systems import CATEGORIES, pictures, system_of
from torch import Tensor

from delineate.artefact.sessions import Arrays
from delineate.export import rounding
from delineate.export.agreement import compare_values
from delineate.export.graph import Graph
from delineate.export.rounding import values_as_they_round
from delineate.export.verdict import CLOSE as CLOSE_RESULTS
from delineate.export.verdict import graph_level, results_level
from delineate.system.system import System
from delineate.values import Sample

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
    """How far logits are from what the system may give, as the verdict measures that."""
    ours, expected = ({"logits": some, "label_map": some.nan_to_num().argmax(1)} for some in (values, logits(system)))
    others = values_as_they_round(ours, expected, system, tied())
    return min(compare_values(ours, other, None, 0.0, "").figures["logits"] for other in others)


def test_a_graph_that_took_the_other_maximum_is_within_rounding(system: System) -> None:
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


COARSE = 1e-3
"""Weights that differ by so much give other boxes and scores."""


@torch.no_grad()
def coarsely_rounded(system: System, monkeypatch: pytest.MonkeyPatch) -> System:
    with monkeypatch.context() as patched:
        patched.setattr(rounding, "LAST_DIGITS", COARSE)
        return next(rounding.as_it_rounds(system))


@pytest.mark.parametrize(("digits", "passed"), [(COARSE, True), (rounding.LAST_DIGITS, False)])
def test_what_a_detector_gives_as_it_rounds_is_its_own(
    digits: float, passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = system_of("ssd")
    system.model.eval()
    other = coarsely_rounded(system, monkeypatch)
    monkeypatch.setattr(rounding, "LAST_DIGITS", digits)
    images, targets = pictures(2)
    samples = [Sample(image=image, target=target, file="") for image, target in zip(images, targets, strict=True)]
    shown = InMemory(samples, CATEGORIES)

    def session(given: Arrays) -> dict[str, NDArray[Any]]:
        found = Graph(other)(**{name: torch.from_numpy(value) for name, value in given.items()})
        return {name: value.detach().numpy() for name, value in found.items()}

    close = CLOSE_RESULTS["fp32"]._replace(iou=1 - 1e-9, score=1e-9)
    for level in (graph_level(system, session, shown), results_level(system, other, shown, close)):
        assert level.passed is passed
        assert "held against the run as it rounds otherwise" in level.of
