"""What every system of the catalog must do: a new paper gets these tests by its line in the catalog.

What only systems of one family can do is tested in `segmentation/test_contract.py` and `two_stage/test_contract.py`;
that all leave the library is tested in `tests/export/test_graph.py`.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.reads import ReadsCounted
from tests.models.systems import batch, nothing, pictures, size_for, system_of, tiny
from torch import Tensor, nn

from delineate.data.preprocess import Preprocess
from delineate.models.contract import Rows
from delineate.models.one_stage import SSD
from delineate.system.catalog import CATALOG
from delineate.system.system import System
from delineate.values import Target


@pytest.fixture(params=list(CATALOG))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_results_have_the_original_sizes(name: str) -> None:
    system = system_of(name)
    system.model.eval()
    inputs, _ = batch(system.model, *pictures(2, size_for(system.model)))
    results = system.read(inputs, [(40, 33), (100, 120)])
    assert [result.image_size for result in results] == [(40, 33), (100, 120)]


def test_raw_outputs_are_tensors_and_rows_are_as_many_for_each_picture(name: str) -> None:
    system = system_of(name)
    model = system.model.eval()
    inputs, _ = batch(model, *pictures(2, size_for(model)))
    raw = model(*inputs)
    assert all(isinstance(value, Tensor) for value in leaves(raw))
    rows = model.extend(raw, system.reader.find(raw, (inputs.images.shape[-2], inputs.images.shape[-1])))
    assert all(value.shape[0] == 2 for value in leaves(rows))
    if isinstance(rows, Rows):
        assert len({value.shape[1] for value in leaves(rows)}) == 1
        assert (rows.scores.diff(dim=1) <= 0).all()


def leaves(outputs: Any) -> list[Any]:
    """All values in tuples of tuples but `None`."""
    if isinstance(outputs, tuple):
        return [leaf for output in outputs for leaf in leaves(output)]
    return [] if outputs is None else [outputs]


def test_losses_are_named_finite_scalars(name: str) -> None:
    model = tiny(name)
    losses = model.loss(*batch(model, *pictures(2, size_for(model))))
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
    sum(model.loss(*batch(model, images, targets)).values()).backward()
    assert_finite_gradients(model)
    weights = {key: parameter.grad for key, parameter in learned(model).items() if parameter.ndim > 1}
    still = [key for key, gradient in weights.items() if not gradient.any()]
    assert [key for key in still if not key.startswith(STILL.get(name, ()))] == []


STILL = {
    "detr": ("transformer.decoder.0.attention.",),
    "rtdetr": tuple(
        f"{head}.layers.{i}."
        for head in ("selection.regress", "decoder.regress.0", "decoder.regress.1")
        for i in (0, 1)
    ),
}
"""DETR's first decoder layer begins with zeros, among which there is nothing to attend to; the last layer of RT-DETR's
boxes begins with zeros, which nothing passes."""


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
    losses = model.loss(*batch(model, images, targets))
    assert all(loss.shape == () and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert_finite_gradients(model)


def assert_finite_gradients(model: nn.Module) -> None:
    """Of all parameters that are learned: one without a gradient stops training in several processes."""
    without = [key for key, parameter in learned(model).items() if parameter.grad is None]
    assert without == []
    assert all(parameter.grad.isfinite().all() for parameter in learned(model).values())


def learned(model: nn.Module) -> dict[str, nn.Parameter]:
    return {key: parameter for key, parameter in model.named_parameters() if parameter.requires_grad}


def test_returns_do_not_depend_on_the_mode(name: str) -> None:
    model = tiny(name)
    inputs, truths = batch(model, *pictures(2, size_for(model)))
    training, testing = model.train()(*inputs), model.eval()(*inputs)
    assert form(training) == form(testing)
    assert set(model.train().loss(inputs, truths)) == set(model.eval().loss(inputs, truths))


def form(outputs: Any) -> Any:
    """Types all the way down, with the dimensions of tensors."""
    if isinstance(outputs, Tensor):
        return outputs.dtype, outputs.ndim
    if isinstance(outputs, list | tuple):
        return type(outputs), [form(output) for output in outputs]
    return type(outputs)


def test_saved_and_loaded_gives_identical_outputs(name: str, tmp_path: Path) -> None:
    saved = system_of(name, preprocess=Preprocess(short_side=70))
    model = saved.model
    inputs, truths = batch(model, *pictures(2, size_for(model)))
    model.loss(inputs, truths)  # what training leaves in buffers is saved, too
    model.eval()
    saved.metrics["score"] = 0.5
    saved.save(tmp_path / "best.safetensors")
    loaded = System.load(tmp_path / "best.safetensors")
    torch.testing.assert_close(loaded.model(*inputs), model(*inputs), rtol=0, atol=0)
    for field in ("name", "arguments", "categories", "preprocess", "metrics"):
        assert getattr(loaded, field) == getattr(saved, field)
    assert loaded.reader == saved.reader


HOST_READS = {
    "sliding_window_detector": 25,
    "rcnn": 25,
    "fast_rcnn": 21,
    "faster_rcnn": 33,
    "mask_rcnn": 37,
    "keypoint_rcnn": 47,
    "retinanet": 5,
    "fcos": 5,
    "detr": 4,
    "detr_small": 6,
    "rtdetr": 2,
}
"""Of a loss of four pictures. Those that draw RoIs must know how many there are, of each picture and on each level;
DETR's matching runs on the host, once a layer, RT-DETR's once for all layers, and torchvision's generalized IoU picks
the boxes that overlap. NMS is one operation, whatever it reads."""


def test_a_loss_reads_little_from_the_device(name: str) -> None:
    """Each read waits for the device, and has to be a decision of the algorithm."""
    model = tiny(name)
    inputs, truths = batch(model, *pictures(4, size_for(model)))
    with ReadsCounted() as reads:
        model.loss(inputs, truths)
    assert len(reads.names) <= HOST_READS.get(name, 0), sorted(reads.names)
