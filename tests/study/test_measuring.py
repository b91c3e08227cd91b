from typing import Any

import pytest
import torch
from tests.models.systems import CATEGORIES, pictures, system_of
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, SSD300_VGG16_Weights

from delineate.data.preprocess import Preprocess
from delineate.models.contract import Model, Reader, Scores
from delineate.models.queries.transformer import Attention
from delineate.study.measuring import STEPS, measure_here
from delineate.system.catalog import build
from delineate.system.flops import count_flops
from delineate.system.system import System
from delineate.values import Categories

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
    model = build(system, COCO, **arguments).eval()
    image = (torch.rand(3, *size) * 255).to(torch.uint8)
    measured = System(name=system, model=model, preprocess=Preprocess(size=size), categories=COCO)
    assert count_flops(measured, image) / 2e9 == pytest.approx(published.meta["_ops"], rel=0.02)


@pytest.mark.parametrize("name", ["unet", "fast_rcnn", "faster_rcnn", "ssd", "detr", "pose_regressor"])
def test_each_step_has_its_time(name: str) -> None:
    system = system_of(name)
    system.model.eval()
    measured = measure_here(system, list(pictures(2)[0]))
    assert set(measured.latency) == {*STEPS, "total"}
    assert all(0 <= seconds.low <= seconds.median <= seconds.high for seconds in measured.latency.values())
    assert (measured.latency["proposals"].median > 1e-3) == (name == "fast_rcnn"), "others do not search"
    assert measured.parameters == sum(weight.numel() for weight in system.model.parameters())
    assert measured.flops > 1e6
    assert measured.throughput > 0


class AsItIs(Reader[Scores, Scores]):
    """Makes nothing of scores."""

    thresholds = None

    def find(self, raw: Scores, size: tuple[int, int]) -> Scores:
        return raw

    def results(self, *_: Any) -> Any:
        raise NotImplementedError


class Alone(Model[Scores, Scores]):
    """An attention layer over pixels, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.reader = Attention(32, 4), AsItIs()

    def forward(self, images: torch.Tensor, proposals: torch.Tensor | None = None) -> Scores:
        places = images[:, 0].reshape(1, 16, 64)[..., :32]
        return Scores(self.attention(places, places, places)[..., None])

    def loss(self, *_: Any) -> Any:
        raise NotImplementedError


def test_attention_is_counted() -> None:
    """Of one layer over 16 places: scores and sums of 16 x 16 x 32, a multiplication and an addition each."""
    system = System(name="unet", model=Alone(), preprocess=Preprocess(), categories=CATEGORIES)
    counted = count_flops(system, torch.zeros(3, 32, 32, dtype=torch.uint8))
    assert counted == 2 * (4 * 16 * 32 * 32 + 2 * 16 * 16 * 32)
