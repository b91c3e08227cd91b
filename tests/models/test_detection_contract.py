"""What every system that finds boxes without proposals must do, beside what all systems must (`test_contract.py`)."""

import pytest
import torch
from tests.models.systems import ONE_STAGE, QUERIES, overfit_boxes, pictures, size_for, system_of, tiny

from delineate.models.one_stage import FCOS, RetinaNet, YOLOv1
from delineate.values import Detections

LARGE = ("ssd300", "ssd512")
"""Too large to learn here; `ssd` learns by the same loss, and `one_stage/test_ssd.py` has their levels, narrow."""


@pytest.fixture(params=[*ONE_STAGE, *QUERIES])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_prediction_never_depends_on_its_batch_mates(name: str) -> None:
    system = system_of(name)
    if isinstance(system.model, YOLOv1):  # its scores are products, 0 where one of both is below it
        torch.nn.init.constant_(system.model.head[-1].bias, 0.4)
    if isinstance(system.model, RetinaNet | FCOS):  # a hundredth is below their threshold
        torch.nn.init.zeros_(system.model.classify.bias)  # type: ignore[arg-type]
    small, large = pictures(2)[0], pictures(2, (80, 120))[0]
    images = [small[0], large[0], small[1], large[1]]
    together = system.infer(images)
    for image, result in zip(images, together, strict=True):
        (alone,) = system.infer([image])
        assert isinstance(alone, Detections)
        assert isinstance(result, Detections)
        assert len(alone) == len(result) > 0
        assert result.image_size == tuple(image.shape[-2:])
        torch.testing.assert_close(alone.boxes, result.boxes, atol=1e-2, rtol=0)
        torch.testing.assert_close(alone.scores, result.scores, atol=1e-4, rtol=0)
        assert torch.equal(alone.labels, result.labels)


@pytest.mark.parametrize("name", [name for name in (*ONE_STAGE, *QUERIES) if name not in LARGE])
def test_overfits_four_pictures(name: str) -> None:
    system = system_of(name)
    # a transformer takes no large steps
    metrics = overfit_boxes(system, system.model.input_size or (96, 128), 3e-4 if name in QUERIES else 1e-3)
    assert metrics["AP50"] >= 0.95, metrics
    assert metrics["AP75"] >= 0.7, metrics


def test_says_which_objects_are_lost_on_it(name: str) -> None:
    model = tiny(name).eval()
    middle = torch.tensor([[20.0, 20.0, 60.0, 60.0]])
    capacity = model.capacity([middle])
    assert capacity is not None, "it learns from what it finds itself"
    assert capacity.why
    speck, alike = middle / 1000, middle.repeat(1000, 1)
    one, small, many = (capacity.lost(objects, size_for(model)) for objects in (middle, speck, alike))
    assert not one.any(), capacity.why
    assert len(many) == 1000
    assert small.any() or many.any()
