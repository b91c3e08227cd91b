import importlib
import math
import types
from itertools import permutations

import pytest
import torch
from torchvision.ops import box_convert, generalized_box_iou

from delineate.models.contract import Inputs
from delineate.models.queries.detr import class_cost, detr, detr_small, set_losses
from delineate.models.queries.matching import QueryObjects, assign
from delineate.models.queries.positions import sine_places
from delineate.models.queries.queries import PlacedQueries
from delineate.models.queries.transformer import Attention
from delineate.values import InputError, Target, truths_of

NONE = torch.zeros(0, 4)


def some_objects(count: int) -> QueryObjects:
    boxes = torch.cat([0.3 + 0.4 * torch.rand(count, 2), 0.1 + 0.3 * torch.rand(count, 2)], 1)
    return QueryObjects(torch.randint(0, 3, (count,)), boxes, NONE)


def test_the_cheapest_assignment_of_all_is_found() -> None:
    objects = some_objects(3)
    logits, boxes = torch.randn(5, 4), some_objects(5).boxes
    giou = generalized_box_iou(box_convert(boxes, "cxcywh", "xyxy"), box_convert(objects.boxes, "cxcywh", "xyxy"))
    cost = 5 * (boxes[:, None] - objects.boxes).abs().sum(2) - logits.softmax(1)[:, objects.labels] - 2 * giou
    best = min(permutations(range(5), 3), key=lambda queries: sum(float(cost[q, i]) for i, q in enumerate(queries)))
    _, queries, rows = assign(logits[None], boxes[None], [objects], class_cost)
    assert {int(row): int(query) for query, row in zip(queries, rows, strict=True)} == dict(enumerate(best))


def test_every_picture_of_a_batch_has_its_own_assignment() -> None:
    objects = [some_objects(count) for count in (2, 0, 3)]
    logits, boxes = torch.randn(3, 5, 4), torch.stack([some_objects(5).boxes for _ in range(3)])
    pictures, queries, rows = assign(logits, boxes, objects, class_cost)
    assert pictures.tolist() == [0, 0, 2, 2, 2]
    for picture, before in ((0, 0), (2, 2)):
        alone = assign(logits[[picture]], boxes[[picture]], [objects[picture]], class_cost)
        assert torch.equal(queries[pictures == picture], alone[1])
        assert torch.equal(rows[pictures == picture] - before, alone[2])


def test_what_is_no_number_is_matched_and_ends_in_the_loss() -> None:
    logits = torch.full((1, 3, 4), math.nan)
    losses = set_losses(logits, torch.full((1, 3, 4), math.nan), [some_objects(2)])
    assert all(loss.isnan() for loss in losses.values())


def test_no_object_weighs_a_tenth() -> None:
    objects = QueryObjects(torch.tensor([1]), torch.tensor([[0.5, 0.5, 0.2, 0.2]]), NONE)
    logits = torch.tensor([[[0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]])
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]]])
    losses = set_losses(logits, boxes, [objects])
    first, second = -math.log(math.exp(2) / (2 + math.exp(2))), -math.log(math.exp(1) / (2 + math.exp(1)))
    assert losses["class"].item() == pytest.approx((first + 0.1 * second) / 1.1)
    assert losses["box"].item() == pytest.approx(0, abs=1e-6)
    assert losses["giou"].item() == pytest.approx(0, abs=1e-6)


def test_a_query_on_a_crowd_says_nothing_wrong() -> None:
    crowd = QueryObjects(torch.zeros(0, dtype=torch.int64), NONE, torch.tensor([[0.0, 0.0, 0.5, 1.0]]))
    logits = torch.tensor([[[9.0, 0.0], [0.0, 9.0]]], requires_grad=True)
    boxes = torch.tensor([[[0.25, 0.5, 0.2, 0.2], [0.75, 0.5, 0.2, 0.2]]])
    set_losses(logits, boxes, [crowd])["class"].backward()
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
    assert model.eval().loss(Inputs(images), truths_of([target]))["class"] > 0


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="query_side: 1 is too small; give 2 or more"):
        detr_small(num_classes=2, backbone="resnet10t", query_side=1)
    with pytest.raises(InputError, match="width: 100 is no multiple of 8, the number of attention heads"):
        detr(num_classes=2, backbone="resnet10t", width=100)


def test_placed_queries_begin_with_the_features_and_the_box_of_their_place() -> None:
    queries = PlacedQueries(4, 16)
    rows = torch.arange(4.0)
    memory = torch.stack([rows.expand(4, 4), rows[:, None].expand(4, 4)])[None].repeat(1, 8, 1, 1)  # x and y
    content, places = queries(memory)
    torch.testing.assert_close(content[0, :, :2], torch.cartesian_prod(rows, rows).flip(1))
    torch.testing.assert_close(places[0], sine_places((4, 4), 16), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(queries.boxes[6].sigmoid(), torch.tensor([0.625, 0.375, 0.25, 0.25]))


def test_places_of_queries_fit_those_of_the_memory_on_either_side() -> None:
    _, places = PlacedQueries(4, 16)(torch.zeros(1, 16, 4, 12))
    every_third = sine_places((4, 12), 16).view(4, 12, 16)[:, 1::3].flatten(0, 1)
    torch.testing.assert_close(places[0], every_third, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("small", [False, True])
def test_what_pads_a_picture_changes_nothing(small: bool) -> None:
    """The backbone's windows reach into the padding: here it is the first convolution alone, which is as large."""
    torch.manual_seed(0)
    options = {"num_classes": 2, "backbone": "resnet10t", "width": 32, "num_layers": 2}
    model = detr_small(query_side=3, **options) if small else detr(num_queries=5, **options)
    model.backbone, model.project = Patches(), torch.nn.Identity()
    image = torch.randn(1, 3, 48, 64)
    target = Target(image_size=(48, 64), boxes=torch.tensor([[8.0, 8.0, 30.0, 40.0]]), labels=torch.tensor([1]))
    alone = model.eval().loss(Inputs(image), truths_of([target]))
    padding = torch.nn.functional.pad(image, (0, 32, 0, 80), value=3.0)
    padded = model.loss(Inputs(padding), truths_of([target]))
    for name, loss in alone.items():
        torch.testing.assert_close(padded[name], loss, atol=1e-4, rtol=1e-4)


class Patches(torch.nn.Module):
    """In the place of a backbone: patches of 16 x 16, averaged."""

    def forward(self, images: torch.Tensor) -> types.SimpleNamespace:
        averages = torch.nn.functional.avg_pool2d(images, 16)
        return types.SimpleNamespace(levels=[averages.repeat(1, 11, 1, 1)[:, :32]])


def test_attention_begins_with_likeness_and_may_leave_it() -> None:
    model = detr_small(num_classes=2, backbone="resnet10t", query_side=2, width=16)
    for module in model.modules():
        if isinstance(module, Attention):
            assert torch.equal(module.query.weight, module.key.weight)
            assert module.query.weight is not module.key.weight


def test_numbers_of_sixteen_bits_teach_it_too() -> None:
    model = detr_small(num_classes=2, backbone="resnet10t", query_side=3, width=16)
    target = Target(image_size=(64, 80), boxes=torch.tensor([[8.0, 8.0, 30.0, 40.0]]), labels=torch.tensor([1]))
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.loss(Inputs(torch.randn(2, 3, 64, 80)), truths_of([target, Target(image_size=(64, 80))]))
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def test_objects_are_repeated_and_leave_half_of_the_queries_free_where_they_can() -> None:
    objects = some_objects(3)
    assert objects.repeated(4, most=20).labels.tolist() == objects.labels.repeat(4).tolist()
    assert objects.repeated(4, most=20).boxes.shape == (12, 4)
    assert len(objects.repeated(4, most=8).labels) == 6
    assert len(objects.repeated(4, most=2).labels) == 3
    assert len(some_objects(0).repeated(4, most=2).labels) == 0


def test_only_the_last_layer_is_alone_with_its_object(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def counted(
        logits: torch.Tensor, boxes: torch.Tensor, objects: list[QueryObjects], class_loss: torch.nn.Module
    ) -> dict[str, torch.Tensor]:
        counts.append([len(one.labels) for one in objects])
        return set_losses(logits, boxes, objects, class_loss)

    monkeypatch.setattr(importlib.import_module("delineate.models.queries.detr"), "set_losses", counted)
    model = detr_small(num_classes=2, backbone="resnet10t", query_side=4, width=16, num_layers=3)
    target = Target(image_size=(64, 64), boxes=torch.tensor([[8.0, 8.0, 30.0, 40.0]]), labels=torch.tensor([1]))
    model.loss(Inputs(torch.randn(1, 3, 64, 64)), truths_of([target]))
    assert counts == [[3], [3], [3], [1]]  # before the first layer, and after each
