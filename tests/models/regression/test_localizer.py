from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models.systems import CATEGORIES, batch, pictures, system_of
from torch import nn

from delineate.metrics import LocalizationEvaluation
from delineate.models.contract import Inputs
from delineate.models.regression import Localizer, localizer
from delineate.models.regression.localizer import LocalizerRaw
from delineate.values import Detections, Target, truths_of


def small(**options: Any) -> Localizer:
    return localizer(num_classes=2, **{"backbone": "resnet10t", "image_size": 96, "width": 32, "hidden": 64, **options})


def results(model: Localizer, raw: LocalizerRaw, sizes: list[tuple[int, int]]) -> list[Detections]:
    return model.reader.results(model.reader.find(raw, model.input_size), model.input_size, sizes)


@pytest.mark.parametrize("options", [{}, {"class_specific": True}, {"box_loss": "l2"}])
def test_overfits_four_pictures(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = small(**options)
    images, targets = pictures(4, (96, 96))
    targets = [target[torch.tensor([row % 2])] for row, target in enumerate(targets)]  # both classes
    system = system_of("localizer", model)
    inputs, truths = batch(model, images, targets)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    metrics: dict[str, float] = {}
    for step in range(400):
        optimizer.zero_grad()
        sum(model.train().loss(inputs, truths).values()).backward()
        optimizer.step()
        if step % 20 == 19:
            evaluation = LocalizationEvaluation(2)
            for result, target in zip(system.infer(list(images)), targets, strict=True):
                assert isinstance(result, Detections)
                evaluation.add(result, target)
            metrics = evaluation.metrics(CATEGORIES.class_names)
            if metrics["mean_IoU"] >= 0.9 and metrics["localization_accuracy"] == 1:
                break
    assert metrics["mean_IoU"] >= 0.9, metrics
    assert metrics["localization_accuracy"] == 1, metrics


def test_the_largest_object_is_learned() -> None:
    model = small()
    images = torch.randn(1, 3, 96, 96)
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 90.0, 60.0], [0.0, 0.0, 96.0, 96.0]])
    crowd = torch.tensor([False, False, True])
    several = Target(image_size=(96, 96), boxes=boxes, labels=torch.tensor([0, 1, 0]), crowd=crowd)
    alone = Target(image_size=(96, 96), boxes=boxes[1:2], labels=torch.tensor([1]))
    model, inputs = model.eval(), Inputs(images)
    assert model.loss(inputs, truths_of([several])) == model.loss(inputs, truths_of([alone]))


def test_pictures_without_objects_do_not_count_in_the_mean() -> None:
    model = small().eval()
    images = torch.randn(3, 3, 96, 96)
    target = Target(image_size=(96, 96), boxes=torch.tensor([[5.0, 5.0, 50.0, 40.0]]), labels=torch.tensor([1]))
    nothing = Target(image_size=(96, 96))
    together = model.loss(Inputs(images), truths_of([nothing, target, nothing]))
    alone = model.loss(Inputs(images[1:2]), truths_of([target]))
    for name, loss in alone.items():
        torch.testing.assert_close(together[name], loss)


@pytest.mark.parametrize("kind", ["l2", "smooth_l1"])
def test_the_loss_of_a_box_is_that_of_its_centre_and_sides(kind: str) -> None:
    model = small(box_loss=kind, box_weight=3.0).eval()
    images = torch.randn(1, 3, 96, 96)
    target = Target(image_size=(96, 96), boxes=torch.tensor([[24.0, 0.0, 72.0, 96.0]]), labels=torch.tensor([0]))
    difference = model(images).boxes[0, 0] - torch.tensor([0.5, 0.5, 0.5, 1.0])
    expected = difference.square().sum()
    if kind == "smooth_l1":
        distance = difference.abs()
        expected = torch.where(distance < 0.02, distance.square() / 0.04, distance - 0.01).sum()
    torch.testing.assert_close(model.loss(Inputs(images), truths_of([target]))["box"], 3 * expected)


def test_a_class_has_its_own_box_if_asked() -> None:
    model = small(class_specific=True)
    boxes = torch.tensor([[[0.25, 0.25, 0.5, 0.5], [0.75, 0.5, 0.5, 1.0]]])
    (result,) = results(model, LocalizerRaw(torch.tensor([[0.0, 2.0]]), boxes), [(100, 200)])
    assert result.boxes.tolist() == [[100, 0, 200, 100]]
    assert result.labels.tolist() == [1]
    torch.testing.assert_close(result.scores, torch.tensor([0.0, 2.0]).softmax(0)[1:])


def test_a_box_turned_inside_out_or_outside_stays_a_box() -> None:
    model = small()
    boxes = torch.tensor([[[0.5, 0.5, -1.0, -1.0]], [[3.0, -2.0, 0.1, 0.1]]])
    for result in results(model, LocalizerRaw(torch.zeros(2, 2), boxes), [(33, 20), (10, 4000)]):
        assert len(result) == 1  # and `Detections` checks its box


def test_frozen_stages_stay_as_they_are_and_heads_learn() -> None:
    model = small()
    model.backbone.freeze_until(len(model.backbone.strides) - 1)
    images, targets = pictures(2, (96, 96))
    sum(model.loss(*batch(model, images, targets)).values()).backward()
    assert all(weight.grad is None for weight in model.backbone.parameters())
    assert all(isinstance(weight.grad, torch.Tensor) for weight in model.classify.parameters())
    assert not any(module.training for module in model.backbone.modules() if isinstance(module, nn.BatchNorm2d))


def test_difficult_objects_are_not_the_largest() -> None:
    target = Target(image_size=(96, 96), boxes=torch.tensor([[0.0, 0.0, 96.0, 96.0]]), labels=torch.tensor([0]))
    ordinary, difficult = truths_of([target, replace(target, difficult=torch.tensor([True]))])
    assert len(ordinary.largest()) == 1
    assert len(difficult.largest()) == 0
