import math

import pytest
import torch
from torch import Tensor

from delineate.models.two_stage.heads.box import (
    WEIGHTS,
    BoxOutputs,
    CropHead,
    FeatureHead,
    box_losses,
    select_detections,
)
from delineate.nn.backbones import timm_backbone
from delineate.ops.boxes import encode_boxes
from delineate.ops.nms import Found

SIZE = (60, 80)
ROIS = torch.tensor([[10.0, 10.0, 30.0, 30.0], [40.0, 20.0, 70.0, 50.0], [0.0, 0.0, 10.0, 10.0]])


def selected(scores: Tensor, rois: Tensor = ROIS, deltas: Tensor | None = None, **options: float) -> Found:
    options = {"score_threshold": 0.1, "nms_threshold": 0.5, "max_detections": 100, **options}
    return select_detections(scores, torch.zeros(*scores.shape, 4) if deltas is None else deltas, rois, SIZE, **options)  # type: ignore[arg-type]


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


def test_only_what_scores_is_found_best_first() -> None:
    found = selected(torch.tensor([[0.3, 0.05], [0.1, 0.9], [0.2, 0.5]]))
    assert found.scores.tolist() == pytest.approx([0.9, 0.5, 0.3, 0.2])
    assert found.labels.tolist() == [1, 1, 0, 0]
    assert found.boxes.tolist() == [ROIS[row].tolist() for row in (1, 2, 0, 2)]
    assert len(selected(torch.full((3, 2), 0.05)).boxes) == 0
    assert selected(torch.tensor([[0.3, 0.05], [0.1, 0.9], [0.2, 0.5]]), max_detections=2).labels.tolist() == [1, 1]


def test_boxes_of_one_class_are_thinned_out_and_those_of_another_are_not() -> None:
    rois = torch.tensor([[10.0, 10.0, 30.0, 30.0], [11.0, 10.0, 31.0, 30.0], [10.0, 10.0, 30.0, 18.0]])
    found = selected(torch.tensor([[0.8, 0.3], [0.9, 0.2], [0.4, 0.15]]), rois)
    # of each class the first two are one object, the third with an IoU of 0.4 is another
    assert list(zip(found.labels.tolist(), found.boxes[:, 0].tolist(), strict=True)) == [
        (0, 11),
        (0, 10),
        (1, 10),
        (1, 10),
    ]
    assert found.scores.tolist() == pytest.approx([0.9, 0.4, 0.3, 0.15])


def test_each_class_has_its_box_which_is_cut_at_the_borders() -> None:
    right, below = torch.tensor([[60.0, 10.0, 90.0, 40.0]]), torch.tensor([[100.0, 10.0, 120.0, 30.0]])
    deltas = torch.stack([encode_boxes(right, ROIS[:1], WEIGHTS), encode_boxes(below, ROIS[:1], WEIGHTS)], 1)
    found = selected(torch.tensor([[0.6, 0.7]]), ROIS[:1], deltas)
    assert found.labels.tolist() == [0]  # the other lies outside
    torch.testing.assert_close(found.boxes, torch.tensor([[60.0, 10.0, 80.0, 40.0]]))


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
    found = head.describe(crops)
    torch.testing.assert_close(found, torch.cat([head.describe(crop[None]) for crop in crops]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found, head.backbone(crops).levels[-1].mean((2, 3)), atol=1e-4, rtol=1e-4)
    assert head.describe(crops[:0]).shape == (0, head.num_features)


@pytest.mark.parametrize("count", [0, 1])
def test_a_network_of_crops_learns_from_a_lone_crop_and_from_none(count: int) -> None:
    head = CropHead(backbone=timm_backbone("resnet10t"), num_classes=2).train()
    outputs = head(torch.rand(count, 3, 32, 32))
    assert outputs.logits.shape == (count, 3)
    assert outputs.logits.isfinite().all()
    (outputs.logits.sum() + outputs.deltas.sum()).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
