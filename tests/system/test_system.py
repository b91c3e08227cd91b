import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.systems import pictures, system_of
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.models.contract import Inputs
from delineate.system.system import System
from delineate.values import Detections, InputError, LabelMap, Thresholds

EARLIER = Path(__file__).parent / "earlier"
"""Runs that the code wrote before facts had a version, and what it made of `picture` then."""


def picture() -> Tensor:
    y, x = torch.meshgrid(torch.arange(48), torch.arange(64), indexing="ij")
    return torch.stack([x * 4 % 256, y * 5 % 256, (x + y) * 2 % 256]).to(torch.uint8)


def earlier(name: str) -> tuple[System, Any]:
    result = json.loads((EARLIER / f"{name}_result.json").read_text())
    return System.load(EARLIER / f"{name}.safetensors"), result


def test_an_earlier_run_that_segments_gives_what_it_gave() -> None:
    system, expected = earlier("segnet_basic")
    (result,) = system.infer([picture()])
    assert isinstance(result, LabelMap)
    assert (result.label_map == torch.tensor(expected["label_map"])).float().mean() > 0.999
    assert system.metrics == {"AP": 0.25}
    assert system.reader.thresholds is None


def test_an_earlier_run_that_detects_gives_what_it_gave() -> None:
    system, expected = earlier("keypoint_rcnn")
    (result,) = system.infer([picture()])
    assert isinstance(result, Detections)
    assert system.reader.thresholds == Thresholds(score=0.05, nms_iou=0.5, max_candidates=None, max_detections=100)
    assert len(result) == expected["count"]
    for field, tolerance in (("boxes", 1e-2), ("scores", 1e-5), ("keypoints", 0.1), ("labels", 0), ("visibility", 0)):
        value = getattr(result, field)[:20]
        torch.testing.assert_close(value, torch.tensor(expected[field]), atol=tolerance, rtol=0)
    areas = result.masks[:20].sum((1, 2))
    assert (areas - torch.tensor(expected["mask_areas"])).abs().max() <= 1
    assert system.categories.skeleton == ((0, 1),)


def test_thresholds_are_the_systems_and_saved_with_it(tmp_path: Path) -> None:
    system = system_of("ssd").with_thresholds(score=0.25, max_detections=7)
    assert system.reader.thresholds == Thresholds(score=0.25, nms_iou=0.45, max_candidates=400, max_detections=7)
    assert system.model.reader.thresholds.score == 0.01
    system.save(tmp_path / "best.safetensors")
    loaded = System.load(tmp_path / "best.safetensors")
    assert loaded.reader == system.reader
    (result,) = loaded.with_thresholds(score=0.0).infer([pictures(1)[0][0]])
    assert len(result) == 7


def test_weights_that_are_loaded_for_use_are_channels_last(tmp_path: Path) -> None:
    system_of("ssd").save(tmp_path / "best.safetensors")
    loaded = System.load(tmp_path / "best.safetensors", torch.device("cpu"))
    kernels = [weight for weight in loaded.model.parameters() if weight.ndim == 4]
    assert any(weight.shape[2:] == (3, 3) for weight in kernels)
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in kernels)


def test_a_lower_threshold_finds_more() -> None:
    system = system_of("ssd")
    images = list(pictures(1)[0])
    counts = [len(system.with_thresholds(score=score).infer(images)[0]) for score in (0.9, 0.3, 0.0)]
    assert counts[0] < counts[1] <= counts[2]


def test_thresholds_of_what_has_none_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"^score: unet finds the class of every pixel, without scores; leave it out$"):
        system_of("unet").with_thresholds(score=0.5)
    assert system_of("unet").with_thresholds(score=None).thresholds is None


@pytest.mark.parametrize("values", [{"score": 1.5}, {"nms_iou": -0.1}, {"max_detections": 0}, {"max_candidates": 0}])
def test_thresholds_out_of_range_are_named(values: dict[str, float]) -> None:
    (name,) = values
    with pytest.raises(InputError, match=f"^{name}: "):
        Thresholds(**values)


def test_pictures_of_one_resized_size_run_together_and_others_apart() -> None:
    system = system_of("unet", preprocess=Preprocess(short_side=32))
    images = [torch.zeros(3, *size, dtype=torch.uint8) for size in ((64, 80), (40, 60), (32, 40))]
    prepared = system.prepare(images)
    assert [group.places for group in prepared] == [[0, 2], [1]]
    assert [group.sizes for group in prepared] == [[(64, 80), (32, 40)], [(40, 60)]]
    assert [tuple(group.inputs.images.shape) for group in prepared] == [(2, 3, 32, 40), (1, 3, 32, 48)]
    assert [result.image_size for result in system.infer(images)] == [(64, 80), (40, 60), (32, 40)]


def test_fewer_proposals_are_filled_up_with_zeros() -> None:
    system = system_of("fast_rcnn")
    boxes = [torch.tensor([[1.0, 1.0, 9.0, 9.0]]), torch.tensor([[2.0, 2.0, 8.0, 8.0], [0.0, 0.0, 5.0, 5.0]])]
    inputs = system.inputs(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), boxes)
    assert isinstance(inputs, Inputs)
    assert inputs.proposals.tolist() == [[[1, 1, 9, 9], [0, 0, 0, 0]], [[2, 2, 8, 8], [0, 0, 5, 5]]]


def test_the_mode_of_the_model_stays_as_it_was() -> None:
    system = system_of("unet")
    system.model.train()
    system.infer([picture()])
    assert system.model.training
