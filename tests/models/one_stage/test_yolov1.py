from dataclasses import replace

import pytest
import torch
from tests.models.systems import CATEGORIES, batch, overfit_boxes, pictures, system_of
from torch import Tensor, nn

from delineate.models.contract import Inputs
from delineate.models.one_stage import YOLOv1, yolov1
from delineate.models.one_stage.yolov1 import LocallyConnected, YOLOv1Raw
from delineate.system.catalog import build
from delineate.values import Target, Thresholds, truths_of


def small(**options: int | str) -> YOLOv1:
    arguments = {"backbone": "resnet10t", "image_size": 128, "num_cells": 2, "width": 16, "head_width": 32}
    return yolov1(num_classes=3, **{**arguments, **options})


class Said(nn.Module):
    """In the place of a network: these values, whatever the picture."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)

    def forward(self, x: Tensor) -> Tensor:
        return self.values.expand(len(x), -1)


def saying(seed: int, num_boxes: int = 2) -> YOLOv1:
    model = small(num_boxes=num_boxes)
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(4 * (3 + 5 * num_boxes), generator=generator)
    model.head = Said(values)
    return model


def test_the_papers_network_has_24_convolutions_and_gives_1470_values() -> None:
    model = yolov1(num_classes=20, backbone="darknet24", head_width=8).eval()
    assert sum(isinstance(module, nn.Conv2d) for module in model.modules()) == 24
    assert model.head[-1].out_features == 7 * 7 * 30
    assert model.head[1].in_features == 7 * 7 * 1024
    assert [type(layer).__name__ for layer in model.head if isinstance(layer, nn.Dropout)] == ["Dropout"]
    assert model.backbone.strides[-1] == 448 // 7


@pytest.mark.parametrize("head", ["normalised", "connected", "local", "direct", "conv"])
def test_values_are_classes_then_confidences_then_boxes(head: str) -> None:
    model = small(head=head, head_width=8).eval()
    with torch.inference_mode():
        outputs = model(torch.randn(2, 3, 128, 128))
    assert outputs.classes.shape == (2, 4, 3)
    assert outputs.confidences.shape == (2, 4, 2)
    assert outputs.boxes.shape == (2, 4, 2, 4)


def test_equation_3_term_by_term() -> None:
    """The formula as it stands in the paper, with loops, on a random output."""
    model = saying(3)
    target = Target(
        image_size=(128, 128),
        boxes=torch.tensor([[10.0, 4.0, 50.0, 60.0], [70.0, 80.0, 100.0, 120.0]]),
        labels=torch.tensor([2, 0]),
    )
    images = torch.zeros(1, 3, 128, 128)
    losses = model.loss(Inputs(images), truths_of([target]))
    outputs: YOLOv1Raw = model(images)
    expected = {"box": 0.0, "object": 0.0, "no_object": 0.0, "class": 0.0}
    objects = {0: 0, 3: 1}  # the cells of their centres
    for cell in range(4):
        row, column = divmod(cell, 2)
        boxes = []
        for x, y, root_width, root_height in outputs.boxes[0, cell].tolist():
            centre_x, centre_y = (column + x) / 2 * 128, (row + y) / 2 * 128
            width, height = root_width**2 * 128, root_height**2 * 128
            boxes.append([centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2])
        confidences = outputs.confidences[0, cell].tolist()
        if cell not in objects:
            expected["no_object"] += 0.5 * sum(c**2 for c in confidences)
            continue
        box, label = target.boxes[objects[cell]].tolist(), int(target.labels[objects[cell]])
        ious = [overlap(box, other) for other in boxes]
        best = max(range(2), key=lambda k: ious[k])
        x, y, root_width, root_height = outputs.boxes[0, cell, best].tolist()
        target_x = (box[0] + box[2]) / 2 / 64 - column
        target_y = (box[1] + box[3]) / 2 / 64 - row
        expected["box"] += 5 * ((x - target_x) ** 2 + (y - target_y) ** 2)
        expected["box"] += 5 * (root_width - ((box[2] - box[0]) / 128) ** 0.5) ** 2
        expected["box"] += 5 * (root_height - ((box[3] - box[1]) / 128) ** 0.5) ** 2
        expected["object"] += (confidences[best] - ious[best]) ** 2
        expected["no_object"] += 0.5 * confidences[1 - best] ** 2
        for number, score in enumerate(outputs.classes[0, cell].tolist()):
            expected["class"] += (score - (number == label)) ** 2
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(expected, rel=1e-4)


def overlap(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


def test_where_no_box_overlaps_the_nearest_is_responsible() -> None:
    model = saying(0)
    with torch.no_grad():
        boxes = model.head.values[4 * 5 :].view(4, 2, 4)
        boxes[0] = torch.tensor([[9.0, 9.0, 0.1, 0.1], [2.0, 2.0, 0.1, 0.1]])  # both far from what their cell holds
    target = Target(image_size=(128, 128), boxes=torch.tensor([[1.0, 1.0, 20.0, 20.0]]), labels=torch.tensor([1]))
    model.loss(Inputs(torch.zeros(1, 3, 128, 128)), truths_of([target]))["box"].backward()
    moved = model.head.values.grad[4 * 5 :].view(4, 2, 4).any(-1)
    assert moved.nonzero().tolist() == [[0, 1]]


def test_of_two_objects_in_a_cell_the_first_is_learned() -> None:
    model, inputs = saying(1), Inputs(torch.zeros(1, 3, 128, 128))
    boxes = torch.tensor([[10.0, 10.0, 50.0, 50.0], [20.0, 20.0, 50.0, 60.0]])
    both = Target(image_size=(128, 128), boxes=boxes, labels=torch.tensor([0, 1]))
    first = both[torch.tensor([0])]
    assert model.loss(inputs, truths_of([both])) == model.loss(inputs, truths_of([first]))


def test_what_a_crowd_covers_is_no_negative() -> None:
    model, inputs = saying(2), Inputs(torch.zeros(1, 3, 128, 128))
    whole = {"boxes": torch.tensor([[0.0, 0.0, 128.0, 128.0]]), "labels": torch.tensor([0])}
    crowd = Target(image_size=(128, 128), **whole, crowd=torch.tensor([True]))
    losses = model.loss(inputs, truths_of([crowd]))
    assert losses["box"] == losses["object"] == losses["class"] == 0
    assert losses["no_object"] < model.loss(inputs, truths_of([Target(image_size=(128, 128))]))["no_object"]


def test_scores_are_class_times_confidence() -> None:
    model = saying(4, num_boxes=1)
    reader = replace(model.reader, thresholds=Thresholds(score=0.005, nms_iou=1.0))
    outputs = model(torch.zeros(1, 3, 128, 128))
    (detections,) = reader.results(reader.find(outputs, (128, 128)), (128, 128), [(256, 64)])
    products = outputs.classes[0] * outputs.confidences[0]
    expected = products[products > reader.thresholds.score].sort(descending=True).values
    torch.testing.assert_close(detections.scores, expected)
    assert detections.image_size == (256, 64)
    assert (detections.boxes[:, 2] <= 64).all()


def test_a_local_layer_is_a_convolution_with_its_own_weights_everywhere() -> None:
    layer = LocallyConnected(3, 5, 4)
    x = torch.randn(2, 3, 4, 4)
    made = layer(x)
    for place in range(16):
        row, column = divmod(place, 4)
        conv = nn.functional.conv2d(x, layer.weight[place].view(5, 3, 3, 3), layer.bias[:, place], padding=1)
        torch.testing.assert_close(made[:, :, row, column], conv[:, :, row, column])


def test_a_convolution_gives_its_values_cell_after_cell() -> None:
    model = small(head="conv", head_width=8).eval()
    maps = torch.randn(2, model.head[0][0].in_channels, 2, 2)
    cells = model.head[1](model.head[0](maps))
    classes, confidences, boxes = model.head(maps).split([4 * 3, 4 * 2, 4 * 8], 1)
    for place in range(4):
        of_cell = cells[:, :, place // 2, place % 2]
        torch.testing.assert_close(classes.view(2, 4, 3)[:, place], of_cell[:, :3])
        torch.testing.assert_close(confidences.view(2, 4, 2)[:, place], of_cell[:, 3:5])
        torch.testing.assert_close(boxes.view(2, 4, 8)[:, place], of_cell[:, 5:])


@pytest.mark.parametrize(("head", "outputs"), [("conv", 13), ("normalised", 52)])
def test_the_last_layer_is_the_one_that_has_classes(head: str, outputs: int) -> None:
    model = small(head=head)
    ((name, named),) = model.named_layers().items()
    assert len(named.outputs) == outputs == len(model.get_submodule(name).weight)


def test_the_first_steps_do_not_switch_the_hidden_values_off() -> None:
    """With weights as PyTorch begins them, and no norm, 95 % are negative after nine steps."""
    negative = {}
    for head in ("normalised", "connected"):
        torch.manual_seed(0)
        model = yolov1(num_classes=2, backbone="resnet10t", image_size=160, num_cells=5, head=head, head_width=256)
        seen: list[Tensor] = []
        activation = next(module for module in model.head if isinstance(module, nn.LeakyReLU))
        activation.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0].detach()))
        inputs, truths = batch(model, *pictures(4, (160, 160)))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for _ in range(10):
            optimizer.zero_grad()
            sum(model.loss(inputs, truths).values()).backward()
            optimizer.step()
        negative[head] = float((seen[-1] < 0).float().mean())
    assert negative["connected"] > 0.7
    assert 0.3 < negative["normalised"] < 0.65


def test_the_last_layer_of_the_usual_head_begins_small_and_half_of_what_it_hides_drops() -> None:
    *_, dropout, last = small(head_width=256).head
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.5
    assert isinstance(last, nn.Linear)
    assert 0.009 < float(last.weight.detach().std()) < 0.011


@pytest.mark.parametrize("head", ["local", "conv", "connected"])
def test_other_heads_overfit_four_pictures_where_nothing_drops(head: str) -> None:
    model = build(
        *("yolov1", CATEGORIES), backbone="resnet10t", image_size=96, num_cells=3, width=64, head=head, head_width=32
    )
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    metrics = overfit_boxes(system_of("yolov1", model), (96, 96), 1e-3)
    assert metrics["AP50"] >= 0.95, metrics


def test_the_map_is_reduced_only_where_every_cell_keeps_a_place_of_its_own() -> None:
    sizes = {size: yolov1(num_classes=3, backbone="resnet10t", image_size=size, width=8) for size in (448, 416, 320)}
    for size in (448, 416):
        reduced = sizes[size]
        assert reduced.reduce(torch.zeros(1, reduced.backbone.channels[-1], size // 32, size // 32)).shape == (
            1,
            8,
            7,
            7,
        )
    kept = sizes[320]
    assert kept.reduce(torch.zeros(1, kept.backbone.channels[-1], 10, 10)).shape[-2:] == (10, 10)
