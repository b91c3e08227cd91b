"""The same weights give what torchvision's SSD300 gives: boxes, scores and losses."""

from typing import Any

import pytest
import torch
from tests.models.one_stage.beside import detections_equal, picture
from torchvision.models.detection import ssd300_vgg16

from delineate.models.contract import Inputs
from delineate.models.one_stage import SSD
from delineate.system.importers.torchvision import import_torchvision
from delineate.values import Target, truths_of

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


@pytest.mark.parametrize("seed", [0, 1])
def test_detections_equal(pair: tuple[Any, SSD], seed: int) -> None:
    detections_equal(*pair, picture(seed, SIZE))


def test_losses_equal(pair: tuple[Any, SSD]) -> None:
    theirs, ours = pair[0].train(), pair[1].train()
    images = torch.cat([picture(2, SIZE), picture(3, SIZE)])
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
