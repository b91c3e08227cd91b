import math

import pytest
import torch

from delineate.models.two_stage.heads.box import BoxOutputs, CropHead, FeatureHead, box_loss, class_loss
from delineate.nn.backbones import timm_backbone

ROIS = torch.tensor([[10.0, 10.0, 30.0, 30.0], [40.0, 20.0, 70.0, 50.0], [0.0, 0.0, 10.0, 10.0]])


def test_losses_are_those_of_the_paper() -> None:
    labels = torch.tensor([1, 2, 0])  # the second is background
    objects = torch.tensor([[12.0, 10.0, 32.0, 30.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 10.0, 10.0]])
    probabilities = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]])
    deltas = torch.full((3, 2, 4), 9.0)  # only those of the true class of the objects are looked at
    deltas[0, 1] = 0
    deltas[2, 0] = torch.tensor([0.0, 0.05, 0.0, 0.0])
    outputs = BoxOutputs(probabilities.log(), deltas)
    expected = -(math.log(0.5) + math.log(0.8) + math.log(0.25)) / 3
    assert class_loss(outputs.logits, labels).item() == pytest.approx(expected)
    # the first is moved by a tenth of its width, times ten: |1| - 1/18 beyond the kink at 1/9; 0.05^2 * 9/2 before it
    assert box_loss(outputs, labels, ROIS, objects).item() == pytest.approx((1 - 1 / 18 + 0.05**2 * 4.5) / 3)


def test_without_rois_losses_are_zero_and_have_gradients() -> None:
    head = FeatureHead(channels=4, size=7, num_classes=2, width=8)
    outputs = head(torch.zeros(0, 4, 7, 7))
    labels, boxes = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4)
    losses = [class_loss(outputs.logits, labels), box_loss(outputs, labels, boxes, boxes)]
    assert losses == [0, 0]
    sum(losses).backward()
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
    head = CropHead(backbone=timm_backbone("resnet10t"), num_classes=2, chunk=4, boxes_from="map").eval()
    crops = torch.randn(10, 3, 128, 128)
    seen = head.describe(crops)
    level = head.backbone(crops).levels[-1]
    torch.testing.assert_close(seen.features, level.mean((2, 3)), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(seen.maps, level.flatten(1), atol=1e-4, rtol=1e-4)  # 4 x 4 of 512 channels
    none = head.describe(crops[:0])
    assert none.features.shape == (0, head.num_features)
    assert none.maps.shape == (0, head.regress.in_features) == (0, 16 * 512)


def test_boxes_are_read_from_about_as_many_values_as_the_papers() -> None:
    """Its last pooled map is 6 x 6 of 256 channels."""
    sides = {channels: FeatureHead(channels=channels, size=7, num_classes=2, boxes_from="map").map_side
             for channels in (64, 256, 512, 2048)}  # fmt: skip
    assert sides == {64: 12, 256: 6, 512: 4, 2048: 2}
    head = FeatureHead(channels=4, size=6, num_classes=2, width=8, boxes_from="map")
    head.map_side = 2
    rois = torch.randn(3, 4, 6, 6)
    expected = rois.unfold(2, 3, 3).unfold(3, 3, 3).mean((4, 5)).flatten(1)
    torch.testing.assert_close(head.describe(rois).maps, expected)


@pytest.mark.parametrize("source", ["map", "none"])
def test_boxes_that_no_gradient_learns_stay_where_they_are(source: str) -> None:
    head = FeatureHead(channels=4, size=7, num_classes=2, width=8, boxes_from=source)
    assert not head(torch.randn(3, 4, 7, 7)).deltas.any()
    assert not any(parameter.requires_grad for parameter in head.regress.parameters())


def test_dropout_leaves_out_a_share_of_both_layers_in_training_alone() -> None:
    head = FeatureHead(channels=4, size=7, num_classes=2, width=4000, dropout=0.5).train()
    rois = torch.randn(2, 4, 7, 7)
    assert (head.describe(rois).features == 0).float().mean() > 0.7  # half of what ReLU leaves
    assert not torch.equal(head.describe(rois).features, head.describe(rois).features)
    head.eval()
    assert torch.equal(head.describe(rois).features, head.describe(rois).features)


@pytest.mark.parametrize("count", [0, 1])
def test_a_network_of_crops_learns_from_a_lone_crop_and_from_none(count: int) -> None:
    head = CropHead(backbone=timm_backbone("resnet10t"), num_classes=2).train()
    outputs = head(torch.rand(count, 3, 32, 32))
    assert outputs.logits.shape == (count, 3)
    assert outputs.logits.isfinite().all()
    (outputs.logits.sum() + outputs.deltas.sum()).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
