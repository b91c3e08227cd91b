"""The same weights give what torchvision's SSD300 gives: boxes, scores and losses."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import ssd300_vgg16

from delineate.models.contract import Inputs
from delineate.models.one_stage import SSD
from delineate.system.importers.torchvision import import_torchvision
from delineate.values import Detections, Target, truths_of

NUM_CLASSES = 4
SIZE = (300, 300)


@pytest.fixture(scope="module", params=[0, 1])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, SSD]:
    """Theirs at random weights that find things, and ours with the same weights; both take pictures as they are."""
    torch.manual_seed(request.param)
    zeros, ones = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
    theirs = ssd300_vgg16(
        weights=None, weights_backbone=None, num_classes=NUM_CLASSES + 1, image_mean=zeros, image_std=ones
    )
    with torch.no_grad():
        for conv in theirs.head.classification_head.module_list:
            conv.weight.mul_(2)
    file = tmp_path_factory.mktemp("weights") / "theirs.pth"
    torch.save(theirs.state_dict(), file)
    ours = import_torchvision("ssd300_vgg16", file).model
    assert isinstance(ours, SSD)
    return theirs, ours


def picture(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, 20, 20, generator=generator)
    return nn.functional.interpolate(coarse, size=SIZE, mode="bilinear")


@pytest.mark.parametrize("seed", [0, 1])
def test_detections_equal(pair: tuple[Any, SSD], seed: int) -> None:
    theirs, ours = pair[0].eval(), pair[1].eval()
    image = picture(seed)
    with torch.no_grad():
        (expected,) = theirs([image[0]])
        (detections,) = ours.reader.results(ours.reader.find(ours(image), SIZE), SIZE, [SIZE])
    assert isinstance(detections, Detections)
    # ours leaves out what lies outside of the picture
    whole = (expected["boxes"][:, 2:] - expected["boxes"][:, :2] > 1e-2).all(1)
    assert len(detections) == int(whole.sum()) > 50
    torch.testing.assert_close(detections.boxes, expected["boxes"][whole], atol=1e-2, rtol=0)
    torch.testing.assert_close(detections.scores, expected["scores"][whole], atol=1e-4, rtol=0)
    assert torch.equal(detections.labels, expected["labels"][whole] - 1)


def test_losses_equal(pair: tuple[Any, SSD]) -> None:
    theirs, ours = pair[0].train(), pair[1].train()
    images = torch.cat([picture(2), picture(3)])
    boxes = [
        torch.tensor([[10.0, 20.0, 60.0, 90.0], [30.0, 40.0, 290.0, 200.0], [0.0, 0.0, 20.0, 12.0]]),
        torch.tensor([[150.0, 150.0, 300.0, 300.0], [20.0, 148.0, 120.0, 299.0]]),
    ]
    labels = [torch.tensor([0, 3, 2]), torch.tensor([1, 0])]
    expected = theirs(list(images), [{"boxes": b, "labels": own + 1} for b, own in zip(boxes, labels, strict=True)])
    targets = [Target(image_size=SIZE, boxes=b, labels=own) for b, own in zip(boxes, labels, strict=True)]
    losses = ours.loss(Inputs(images), truths_of(targets))
    torch.testing.assert_close(losses["class"], expected["classification"], atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(losses["box"], expected["bbox_regression"], atol=1e-4, rtol=1e-5)
