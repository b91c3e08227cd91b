import math
from itertools import permutations

import pytest
import torch
from torchvision.ops import box_convert, generalized_box_iou

from delineate.models.sets.detr import Objects, assign, detr, set_losses
from delineate.models.sets.transformer import sine_places
from delineate.structures import InputError, Target

NONE = torch.zeros(0, 4)


def some_objects(count: int) -> Objects:
    boxes = torch.cat([0.3 + 0.4 * torch.rand(count, 2), 0.1 + 0.3 * torch.rand(count, 2)], 1)
    return Objects(torch.randint(0, 3, (count,)), boxes, NONE)


def test_the_cheapest_assignment_of_all_is_found() -> None:
    objects = some_objects(3)
    logits, boxes = torch.randn(5, 4), some_objects(5).boxes
    giou = generalized_box_iou(box_convert(boxes, "cxcywh", "xyxy"), box_convert(objects.boxes, "cxcywh", "xyxy"))
    cost = 5 * (boxes[:, None] - objects.boxes).abs().sum(2) - logits.softmax(1)[:, objects.labels] - 2 * giou
    best = min(permutations(range(5), 3), key=lambda queries: sum(float(cost[q, i]) for i, q in enumerate(queries)))
    queries, rows = assign(logits, boxes, objects)
    assert {int(row): int(query) for query, row in zip(queries, rows, strict=True)} == dict(enumerate(best))


def test_no_object_weighs_a_tenth() -> None:
    objects = Objects(torch.tensor([1]), torch.tensor([[0.5, 0.5, 0.2, 0.2]]), NONE)
    logits = torch.tensor([[[0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]])
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]]])
    losses = set_losses(logits, boxes, [objects], 1)
    first, second = -math.log(math.exp(2) / (2 + math.exp(2))), -math.log(math.exp(1) / (2 + math.exp(1)))
    assert losses["class"].item() == pytest.approx((first + 0.1 * second) / 1.1)
    assert losses["box"].item() == pytest.approx(0, abs=1e-6)
    assert losses["giou"].item() == pytest.approx(0, abs=1e-6)


def test_a_query_on_a_crowd_says_nothing_wrong() -> None:
    crowd = Objects(torch.zeros(0, dtype=torch.int64), NONE, torch.tensor([[0.0, 0.0, 0.5, 1.0]]))
    logits = torch.tensor([[[9.0, 0.0], [0.0, 9.0]]], requires_grad=True)
    boxes = torch.tensor([[[0.25, 0.5, 0.2, 0.2], [0.75, 0.5, 0.2, 0.2]]])
    set_losses(logits, boxes, [crowd], 1)["class"].backward()
    assert logits.grad is not None
    assert not logits.grad[0, 0].any()
    assert logits.grad[0, 1].any()


def test_places_differ_and_do_not_depend_on_the_picture_size() -> None:
    places = sine_places((4, 6), 32)
    assert places.shape == (24, 32)
    assert torch.cdist(places, places).fill_diagonal_(1).min() > 0.1
    torch.testing.assert_close(places[-1], sine_places((8, 9), 32)[-1], atol=1e-4, rtol=0)


def test_every_layer_learns() -> None:
    model = detr(num_classes=2, backbone="resnet10t", num_queries=6, width=16, num_layers=3)
    images = torch.randn(1, 3, 64, 64)
    target = Target(image_size=(64, 64), boxes=torch.tensor([[8.0, 8.0, 30.0, 40.0]]), labels=torch.tensor([1]))
    outputs = model(images)
    assert outputs.logits.shape == (3, 1, 6, 3)
    assert outputs.boxes.shape == (3, 1, 6, 4)
    assert model.eval().loss(images, [target])["class"] > 0


def test_a_width_that_the_heads_cannot_share_is_refused() -> None:
    with pytest.raises(InputError, match="width: 100 is no multiple of 8, the number of attention heads"):
        detr(num_classes=2, backbone="resnet10t", width=100)
