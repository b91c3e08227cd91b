import math

import pytest
import torch

from delineate.models.two_stage.heads.box import BoxOutputs, CropHead, FeatureHead, box_losses
from delineate.nn.backbones import timm_backbone

ROIS = torch.tensor([[10.0, 10.0, 30.0, 30.0], [40.0, 20.0, 70.0, 50.0], [0.0, 0.0, 10.0, 10.0]])


def test_losses_are_those_of_the_paper() -> None:
    labels = torch.tensor([1, 2, 0])  # the second is background
    objects = torch.tensor([[12.0, 10.0, 32.0, 30.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 10.0, 10.0]])
    probabilities = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]])
    deltas = torch.full((3, 2, 4), 9.0)  # only those of the true class of the objects are looked at
    deltas[0, 1] = 0
    deltas[2, 0] = torch.tensor([0.0, 0.05, 0.0, 0.0])
    losses = box_losses(BoxOutputs(probabilities.log(), deltas), labels, ROIS, objects)
    assert losses["class"].item() == pytest.approx(-(math.log(0.5) + math.log(0.8) + math.log(0.25)) / 3)
    # the first is moved by a tenth of its width, times ten: |1| - 1/18 beyond the kink at 1/9; 0.05^2 * 9/2 before it
    assert losses["box"].item() == pytest.approx((1 - 1 / 18 + 0.05**2 * 4.5) / 3)


def test_without_rois_losses_are_zero_and_have_gradients() -> None:
    head = FeatureHead(channels=4, size=7, num_classes=2, width=8)
    outputs = head(torch.zeros(0, 4, 7, 7))
    losses = box_losses(outputs, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), torch.zeros(0, 4))
    assert all(loss == 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in head.parameters())


def test_probabilities_leave_background_out() -> None:
    head = FeatureHead(channels=4, size=7, num_classes=2, width=8)
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    total = math.exp(1) + math.exp(2) + math.exp(3)
    expected = torch.tensor([[math.exp(1) / total, math.exp(2) / total], [1 / 3, 1 / 3]])
    torch.testing.assert_close(head.probabilities(logits), expected)
    head.one_vs_rest.fill_(True)
    margins = torch.tensor([[1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-2))], [0.5, 0.5]])
    torch.testing.assert_close(head.probabilities(logits), margins)
    assert "one_vs_rest" in head.state_dict()


def test_crops_are_described_in_chunks_as_at_once() -> None:
    head = CropHead(backbone=timm_backbone("resnet10t"), num_classes=2, chunk=4).eval()
    crops = torch.randn(10, 3, 32, 32)
    features = head.describe(crops)
    alone = torch.cat([head.describe(crop[None]) for crop in crops])
    torch.testing.assert_close(features, alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features, head.backbone(crops).levels[-1].mean((2, 3)), atol=1e-4, rtol=1e-4)
    assert head.describe(crops[:0]).shape == (0, head.num_features)


@pytest.mark.parametrize("count", [0, 1])
def test_a_network_of_crops_learns_from_a_lone_crop_and_from_none(count: int) -> None:
    head = CropHead(backbone=timm_backbone("resnet10t"), num_classes=2).train()
    outputs = head(torch.rand(count, 3, 32, 32))
    assert outputs.logits.shape == (count, 3)
    assert outputs.logits.isfinite().all()
    (outputs.logits.sum() + outputs.deltas.sum()).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
