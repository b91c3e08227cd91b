"""The same weights give what torchvision's detectors give: boxes, scores, masks, keypoints and losses."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import (
    fasterrcnn_resnet50_fpn,
    keypointrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn,
)

from delineate.models.contract import Inputs
from delineate.models.two_stage import TwoStageDetector
from delineate.system.importers import import_torchvision
from delineate.system.system import System
from delineate.values import Detections, Target, truths_of

MAKE = {
    "fasterrcnn_resnet50_fpn": fasterrcnn_resnet50_fpn,
    "maskrcnn_resnet50_fpn": maskrcnn_resnet50_fpn,
    "keypointrcnn_resnet50_fpn": keypointrcnn_resnet50_fpn,
}
NUM_CLASSES = 4


@pytest.fixture(scope="module", params=[(name, seed) for name in MAKE for seed in (0, 1)], ids=str)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, System]:
    """Theirs at random weights that find things, and ours with the same weights; both take pictures as they are."""
    architecture, seed = request.param
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(seed)
    theirs = MAKE[architecture](
        weights=None,
        weights_backbone=None,
        num_classes=NUM_CLASSES + 1,
        min_size=1,
        max_size=1,
        image_mean=[0.0, 0.0, 0.0],
        image_std=[1.0, 1.0, 1.0],
    )
    theirs.transform.resize = lambda image, target: (image, target)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.0)
            module.bias.data.normal_(std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.8, 1.5)
    with torch.no_grad():
        theirs.rpn.head.bbox_pred.weight.mul_(4)
        theirs.rpn.head.cls_logits.weight.mul_(20)
        theirs.roi_heads.box_predictor.cls_score.weight.mul_(30)
        theirs.roi_heads.box_predictor.bbox_pred.weight.mul_(30)
    torch.save(theirs.state_dict(), folder / "theirs.pth")
    ours = import_torchvision(architecture, folder / "theirs.pth")
    assert isinstance(ours.model, TwoStageDetector)
    return theirs, ours


def picture(size: tuple[int, int], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, size[0] // 16 + 1, size[1] // 16 + 1, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=size, mode="bilinear")
    return smooth + 0.2 * torch.randn(1, 3, *size, generator=generator)


@pytest.mark.parametrize("size", [(128, 160), (97, 141)])
def test_detections_equal(pair: tuple[Any, System], size: tuple[int, int]) -> None:
    theirs, ours = pair
    theirs.eval()
    ours.model.eval()
    image = picture(size, seed=0)
    with torch.no_grad():
        (expected,) = theirs([image[0]])
        (result,) = ours.read(Inputs(image), [size])
    assert isinstance(result, Detections)
    assert len(result) == len(expected["boxes"]) >= 3
    torch.testing.assert_close(result.boxes, expected["boxes"], atol=1e-2, rtol=0)
    torch.testing.assert_close(result.scores, expected["scores"], atol=1e-4, rtol=0)
    assert torch.equal(result.labels, expected["labels"] - 1)
    if "masks" in expected:
        assert result.masks is not None
        assert (result.masks == (expected["masks"][:, 0] > 0.5)).float().mean() > 0.999
    if "keypoints" in expected:
        assert result.keypoints is not None
        torch.testing.assert_close(result.keypoints, expected["keypoints"][..., :2], atol=1e-2, rtol=0)


def objects(size: tuple[int, int], seed: int, count: int) -> Target:
    generator = torch.Generator().manual_seed(seed)
    limit = torch.tensor([size[1], size[0]])
    first, second = (torch.rand(count, 2, generator=generator) * limit for _ in range(2))
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    boxes = torch.cat([low, torch.minimum(high + 8, limit)], 1)
    boxes[:, :2] = torch.minimum(boxes[:, :2], boxes[:, 2:] - 4)
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    inside = (x >= boxes[:, 0, None, None]) & (x < boxes[:, 2, None, None])
    inside &= (y >= boxes[:, 1, None, None]) & (y < boxes[:, 3, None, None])
    masks = inside & ((x + y) % 7 > 1)  # with holes, and in parts
    places = boxes[:, None, :2] + torch.rand(count, 17, 2, generator=generator) * (
        boxes[:, None, 2:] - boxes[:, None, :2]
    )
    return Target(
        image_size=size,
        boxes=boxes,
        labels=torch.randint(0, NUM_CLASSES, (count,), generator=generator),
        masks=masks,
        keypoints=places,
        visibility=torch.randint(0, 3, (count, 17), generator=generator),
    )


def their_target(target: Target) -> dict[str, Tensor]:
    assert target.masks is not None
    assert target.keypoints is not None
    assert target.visibility is not None
    return {
        "boxes": target.boxes,
        "labels": target.labels + 1,
        "masks": target.masks.to(torch.uint8),
        "keypoints": torch.cat([target.keypoints, target.visibility[..., None].float()], 2),
    }


NAMES = {
    "loss_objectness": "objectness",
    "loss_rpn_box_reg": "rpn_box",
    "loss_classifier": "class",
    "loss_box_reg": "box",
    "loss_mask": "mask",
    "loss_keypoint": "keypoint",
}


@pytest.mark.parametrize("counts", [(3, 5), (0, 2)])
def test_losses_equal_for_the_same_samples(
    pair: tuple[Any, System], counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Background is drawn as torchvision draws it, from any place."""
    theirs, ours = pair
    theirs.train()
    model = ours.model.train()
    assert isinstance(model, TwoStageDetector)
    monkeypatch.setattr(model, "sampling", model.sampling._replace(background_iou=(0.0, 0.5)))
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    size = (128, 160)
    images = torch.cat([picture(size, 5), picture(size, 6)])
    targets = [objects(size, seed, count) for seed, count in zip((7, 8), counts, strict=True)]
    torch.manual_seed(0)
    expected = theirs(list(images), [their_target(target) for target in targets])
    torch.manual_seed(0)
    losses = model.loss(Inputs(images), truths_of(targets))
    assert set(losses) == {NAMES[name] for name in expected}
    for name, loss in expected.items():
        torch.testing.assert_close(losses[NAMES[name]], loss, atol=1e-4, rtol=1e-4)
