"""What every system of the catalog must do: a new paper gets these tests by its line in the catalog.

What only systems of one family can do is tested in `dense/test_contract.py` and `region/test_contract.py`.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.systems import CATEGORIES, TINY, nothing, pictures, size_for, tiny
from torch import Tensor, nn

from delineate.data.preprocess import Preprocess
from delineate.models.one_stage import SSD
from delineate.system.catalog import CATALOG
from delineate.system.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from delineate.values import Target


@pytest.fixture(params=list(CATALOG))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_results_have_the_original_sizes(name: str) -> None:
    model = tiny(name).eval()
    outputs = model(Preprocess().normalise(pictures(2, size_for(model))[0]))
    results = model.postprocess(outputs, [(40, 33), (100, 120)])
    assert [result.image_size for result in results] == [(40, 33), (100, 120)]


def test_losses_are_named_finite_scalars(name: str) -> None:
    model = tiny(name)
    images, targets = pictures(2, size_for(model))
    losses = model.loss(Preprocess().normalise(images), targets)
    assert losses
    assert all(loss.shape == () and loss.isfinite() and loss > 0 for loss in losses.values())


def test_gradients_reach_all_parameters(name: str) -> None:
    model = tiny(name)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # residual branches begin at zero, and nothing passes what is before them
    images, targets = pictures(2, size_for(model))
    if isinstance(model, SSD):
        targets = [objects_of_every_level(model, target) for target in targets]
    sum(model.loss(Preprocess().normalise(images), targets).values()).backward()
    assert_finite_gradients(model)
    weights = {key: parameter.grad for key, parameter in model.named_parameters() if parameter.ndim > 1}
    still = [key for key, gradient in weights.items() if not gradient.any()]
    assert [key for key in still if not key.startswith(STILL.get(name, ()))] == []


STILL = {"detr": ("transformer.decoder.0.attention.",)}
"""DETR's first decoder layer begins with zeros, among which there is nothing to attend to."""


def objects_of_every_level(model: SSD, target: Target) -> Target:
    """A default box of each level is an object: the coarser ones learn from nothing smaller."""
    with torch.no_grad():
        levels = model.levels(torch.zeros(1, 3, *target.image_size))
    grids = [(level.shape[-2], level.shape[-1]) for level in levels]
    boxes = model.default_boxes(grids, target.image_size)
    height, width = target.image_size
    boxes = boxes.clamp(torch.zeros(4), torch.tensor([width, height, width, height]).float())
    firsts = torch.tensor([rows * columns for rows, columns in grids]) * torch.tensor(
        [2 + 2 * len(ratios) for ratios in model.aspect_ratios]
    )
    rows = firsts.cumsum(0) - firsts + firsts // 2
    return Target(image_size=target.image_size, boxes=boxes[rows], labels=torch.arange(len(rows)) % 2)


@pytest.mark.parametrize("empty", ["one", "all"])
def test_pictures_without_objects_are_ordinary(name: str, empty: str) -> None:
    model = tiny(name)
    images, (full, _) = pictures(2, size_for(model))
    empty_ones = [nothing(size_for(model)) for _ in range(2)]
    targets = [full, empty_ones[0]] if empty == "one" else empty_ones
    losses = model.loss(Preprocess().normalise(images), targets)
    assert all(loss.shape == () and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert_finite_gradients(model)


def assert_finite_gradients(model: nn.Module) -> None:
    """Of all parameters: one without a gradient stops training in several processes."""
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_returns_do_not_depend_on_the_mode(name: str) -> None:
    model = tiny(name)
    images, targets = pictures(2, size_for(model))
    inputs = Preprocess().normalise(images)
    training, testing = model.train()(inputs), model.eval()(inputs)
    assert form(training) == form(testing)
    assert set(model.train().loss(inputs, targets)) == set(model.eval().loss(inputs, targets))


def form(outputs: Any) -> Any:
    """Types all the way down, with the dimensions of tensors."""
    if isinstance(outputs, Tensor):
        return outputs.dtype, outputs.ndim
    if isinstance(outputs, list | tuple):
        return type(outputs), [form(output) for output in outputs]
    return type(outputs)


def test_saved_and_loaded_gives_identical_outputs(name: str, tmp_path: Path) -> None:
    model = tiny(name)
    images, targets = pictures(2, size_for(model))
    inputs = Preprocess().normalise(images)
    model.loss(inputs, targets)  # what training leaves in buffers is saved, too
    checkpoint = Checkpoint(
        model=model.eval(),
        system=name,
        arguments=TINY.get(name, {}),
        categories=CATEGORIES,
        preprocess=Preprocess(short_side=70),
        metrics={"score": 0.5},
    )
    save_checkpoint(tmp_path / "best.safetensors", checkpoint)
    loaded = load_checkpoint(tmp_path / "best.safetensors")
    torch.testing.assert_close(loaded.model(inputs), model(inputs), rtol=0, atol=0)
    for field in ("system", "arguments", "categories", "preprocess", "metrics", "versions"):
        assert getattr(loaded, field) == getattr(checkpoint, field)
