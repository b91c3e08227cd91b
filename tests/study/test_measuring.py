from typing import Any

import pytest
import torch
from tests.models.systems import CATEGORIES, pictures, tiny
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, SSD300_VGG16_Weights

from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor
from delineate.models.contract import Model
from delineate.models.queries.transformer import Attention
from delineate.study.measuring import STEPS, count_flops, measure_here
from delineate.system.catalog import build
from delineate.values import Categories, LabelMap

COCO = Categories(class_names=tuple(f"class_{number}" for number in range(90)))


@pytest.mark.parametrize(
    ("system", "arguments", "size", "published"),
    [
        ("ssd300", {}, (300, 300), SSD300_VGG16_Weights.COCO_V1),
        ("faster_rcnn", {"backbone": "resnet50"}, (800, 800), FasterRCNN_ResNet50_FPN_Weights.COCO_V1),
    ],
)
def test_operations_are_those_that_torchvision_publishes(
    system: str, arguments: dict[str, str], size: tuple[int, int], published: object
) -> None:
    """Theirs are in billions, a multiplication with its addition counting as one."""
    predictor = Predictor(model=build(system, COCO, **arguments), preprocess=Preprocess(size=size), categories=COCO)
    image = (torch.rand(3, *size) * 255).to(torch.uint8)
    assert count_flops(predictor, image) / 2e9 == pytest.approx(published.meta["_ops"], rel=0.02)


@pytest.mark.parametrize("name", ["unet", "fast_rcnn", "faster_rcnn", "ssd", "detr", "pose_regressor"])
def test_each_step_has_its_time(name: str) -> None:
    model = tiny(name).eval()
    predictor = Predictor(model=model, preprocess=Preprocess(size=model.input_size), categories=CATEGORIES)
    found = measure_here(predictor, list(pictures(2)[0]))
    assert set(found.latency) == {*STEPS, "total"}
    assert all(0 <= its.low <= its.median <= its.high for its in found.latency.values())
    assert found.parameters == sum(weight.numel() for weight in model.parameters())
    assert found.flops > 1e6
    assert found.throughput > 0


class Alone(Model[torch.Tensor, LabelMap]):
    """An attention layer over pixels, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention(32, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        places = images[:, 0].reshape(1, 16, 64)[..., :32]
        return self.attention(places, places, places)

    def loss(self, images: torch.Tensor, targets: Any) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def postprocess(self, outputs: torch.Tensor, sizes: Any) -> list[LabelMap]:
        raise NotImplementedError


def test_attention_is_counted() -> None:
    """Of one layer over 16 places: scores and sums of 16 x 16 x 32, a multiplication and an addition each."""
    predictor = Predictor(model=Alone(), preprocess=Preprocess(), categories=CATEGORIES)
    counted = count_flops(predictor, torch.zeros(3, 32, 32, dtype=torch.uint8))
    assert counted == 2 * (4 * 16 * 32 * 32 + 2 * 16 * 16 * 32)
