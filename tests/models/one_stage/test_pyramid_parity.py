"""The same weights give what torchvision's RetinaNet (both) and FCOS give: boxes, scores and losses."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models.one_stage.beside import detections_equal, picture
from torch import nn
from torchvision.models import detection

from delineate.models.contract import AnyModel, Inputs
from delineate.system.importers.torchvision import import_torchvision
from delineate.values import Target, truths_of

NUM_CLASSES, MOST = 4, 2000
SIZE = (224, 320)
LOSSES = {"class": "classification", "box": "bbox_regression", "centre": "bbox_ctrness"}


STRENGTH = {
    "retinanet_resnet50_fpn": (20.0, 10.0),
    "retinanet_resnet50_fpn_v2": (5.0, 1.0),
    "fcos_resnet50_fpn": (20.0, 10.0),
}
"""So much larger, random weights give scores that differ, few of them of 1, and boxes that lie in the picture."""


@pytest.fixture(scope="module", params=STRENGTH)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, AnyModel]:
    """Theirs at random weights that find things, and ours with the same weights; both take pictures as they are."""
    torch.manual_seed(0)
    zeros, ones = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
    theirs = getattr(detection, request.param)(
        weights=None,
        weights_backbone=None,
        num_classes=NUM_CLASSES + 1,
        image_mean=zeros,
        image_std=ones,
        min_size=SIZE[0],
        max_size=SIZE[1],
        score_thresh=0.05,
        detections_per_img=MOST,
    )
    with torch.no_grad():
        logits = theirs.head.classification_head.cls_logits
        logits.weight.mul_(STRENGTH[request.param][0])
        for values, silent in ((logits.weight, 0), (logits.bias, -20)):
            values.unflatten(0, (-1, NUM_CLASSES + 1))[:, 0] = silent  # background of theirs is no class of ours
        theirs.head.regression_head.bbox_reg.weight.mul_(STRENGTH[request.param][1])
        theirs.head.regression_head.bbox_reg.bias.fill_(0.3)
    file = tmp_path_factory.mktemp("weights") / "theirs.pth"
    torch.save(theirs.state_dict(), file)
    ours: AnyModel = import_torchvision(request.param, file).model
    ours.reader = replace(ours.reader, thresholds=ours.reader.thresholds.changed(max_detections=MOST))
    return theirs, ours


@pytest.mark.parametrize("seed", [0, 1])
def test_detections_equal(pair: tuple[Any, AnyModel], seed: int) -> None:
    detections_equal(*pair, picture(seed, SIZE))


def test_losses_equal(pair: tuple[Any, AnyModel]) -> None:
    theirs, ours = pair[0].train(), pair[1].train()
    images = torch.cat([picture(2, SIZE), picture(3, SIZE), picture(4, SIZE)])
    boxes = [
        torch.tensor([[10.0, 20.0, 60.0, 90.0], [30.0, 40.0, 290.0, 200.0], [0.0, 0.0, 20.0, 12.0]]),
        torch.tensor([[150.0, 150.0, 300.0, 220.0], [20.0, 148.0, 120.0, 223.0]]),
        torch.zeros(0, 4),
    ]
    labels = [torch.tensor([0, 3, 2]), torch.tensor([1, 0]), torch.zeros(0, dtype=torch.int64)]
    wanted = [{"boxes": b, "labels": own + 1} for b, own in zip(boxes, labels, strict=True)]
    targets = [Target(image_size=SIZE, boxes=b, labels=own) for b, own in zip(boxes, labels, strict=True)]
    for module in (*theirs.modules(), *ours.modules()):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    expected = theirs(list(images), wanted)
    losses = ours.loss(Inputs(images), truths_of(targets))
    assert len(losses) == len(expected)
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[LOSSES[name]], atol=1e-4, rtol=1e-5)
