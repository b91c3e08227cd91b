import importlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.systems import CATEGORIES, overfit_boxes, pictures, system_of
from torch.nn import functional as F
from torchvision.ops import box_convert

from delineate.artefact.sessions import open_session
from delineate.export.graph import Graph, export_program, write_onnx
from delineate.models.contract import Inputs
from delineate.models.queries import RTDETR, rtdetr
from delineate.models.queries.criterion import varifocal_losses
from delineate.models.queries.decoder import Edges
from delineate.models.queries.deformable import look
from delineate.models.queries.denoising import seen_by
from delineate.models.queries.distribution import DistributionDecoder, edge_losses, step_sizes
from delineate.models.queries.matching import QueryObjects
from delineate.models.queries.selection import first_boxes
from delineate.nn.backbones import timm_backbone
from delineate.system.system import System
from delineate.values import InputError, Target, Truth, truths_of

GRIDS, POINTS = ((5, 7), (3, 4)), (3, 2)
SMALL: dict[str, Any] = {"num_classes": 2, "backbone": "resnet10t", "image_size": 96, "num_queries": 12, "width": 32}
SMALL |= {"num_layers": 3, "fusion_width": 16, "fusion_depth": 1}
FINE = {"box_head": "distribution", "fusion": "elan"}
SIZE = (96, 96)


def points_and_more(grids: tuple[tuple[int, int], ...] = GRIDS) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    places = sum(rows * columns for rows, columns in grids)
    values, weights = torch.randn(2, places, 2, 4), torch.rand(2, 6, 2, sum(POINTS))
    return values, torch.rand(2, 6, 2, sum(POINTS), 2) * 1.4 - 0.2, weights


def by_grid_sample(values: torch.Tensor, points: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The same by PyTorch's operator, level by level."""
    sizes = [rows * columns for rows, columns in GRIDS]
    seen = []
    for grid, own, near in zip(GRIDS, values.split(sizes, 1), points.split(POINTS, 3), strict=True):
        maps = own.permute(0, 2, 3, 1).reshape(-1, 4, *grid)
        seen.append(F.grid_sample(maps, 2 * near.transpose(1, 2).flatten(0, 1) - 1, align_corners=False))
    shares = weights.transpose(1, 2).flatten(0, 1)[:, None]
    return (torch.cat(seen, -1) * shares).sum(-1).view(2, 2, 4, 6).permute(0, 3, 1, 2)


@pytest.mark.parametrize("exporting", [False, True])
def test_points_are_seen_as_grid_sample_has_them(exporting: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: exporting)
    values, points, weights = (value.requires_grad_() for value in points_and_more())
    seen = look(values, GRIDS, points, weights, POINTS, "bilinear")
    expected = by_grid_sample(values, points, weights)
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=1e-5)
    direction = torch.randn_like(seen)
    for own, theirs in zip(
        *(torch.autograd.grad((out * direction).sum(), (values, points, weights)) for out in (seen, expected)),
        strict=True,
    ):
        torch.testing.assert_close(own, theirs, atol=1e-4, rtol=1e-4)


def test_discrete_points_are_the_nearest_places() -> None:
    values = torch.arange(6.0).view(1, 6, 1, 1)  # 2 rows of 3
    points = torch.tensor([[0.1, 0.2], [0.9, 0.9], [0.45, 0.2], [-1.0, 2.0]]).view(1, 4, 1, 1, 2)
    seen = look(values, ((2, 3),), points, torch.ones(1, 4, 1, 1), (1,), "discrete")
    # 0.9 x 3 + 0.5 is 3, beyond the last column, 0.45 x 3 + 0.5 is 1
    assert seen.flatten().tolist() == [0.0, 5.0, 1.0, 3.0]


def test_first_boxes_stand_on_their_places_and_those_at_the_border_are_left_out() -> None:
    boxes, inside = first_boxes(((80, 80), (2, 2)), torch.device("cpu"))
    assert boxes.shape == (6404, 4)
    torch.testing.assert_close(boxes[81].sigmoid(), torch.tensor([1.5 / 80, 1.5 / 80, 0.05, 0.05]))
    torch.testing.assert_close(boxes[-1].sigmoid(), torch.tensor([0.75, 0.75, 0.1, 0.1]))
    assert inside[:6400].view(80, 80).sum() == 78 * 78
    assert boxes[0].sigmoid().tolist() == [1.0] * 4


def test_classes_learn_how_well_the_box_fits() -> None:
    logits = torch.tensor([[[0.0, 1.0], [2.0, -1.0]]])
    at = torch.tensor([0])
    losses = varifocal_losses(logits, at, at, torch.tensor([1]), torch.tensor([0.6]))

    def likely(logit: float) -> float:
        return 1 / (1 + math.exp(-logit))

    fits = -0.6 * (0.6 * math.log(likely(1)) + 0.4 * math.log(1 - likely(1)))
    others = [-0.75 * likely(x) ** 2 * math.log(1 - likely(x)) for x in (0.0, 2.0, -1.0)]
    torch.testing.assert_close(losses, torch.tensor([[fits + others[0], others[1] + others[2]]]))


def truths(*targets: Target) -> list[Truth]:
    return truths_of([*targets])


def an_object(**more: Any) -> Target:
    return Target(image_size=SIZE, boxes=torch.tensor([[8.0, 8.0, 50.0, 60.0]]), labels=torch.tensor([1]), **more)


def test_a_query_on_a_crowd_says_nothing_wrong() -> None:
    model = rtdetr(**SMALL).eval()
    crowd = Truth.of(Target(image_size=SIZE))._replace(ignored=torch.tensor([[0.0, 0.0, 96.0, 96.0]]))
    image = torch.randn(1, 3, *SIZE)
    assert model.loss(Inputs(image), [crowd])["class"] == 0
    assert model.loss(Inputs(image), truths(Target(image_size=SIZE)))["class"] > 0


@pytest.mark.parametrize("head", [{}, FINE])
def test_queries_that_are_told_change_nothing_for_the_others(head: dict[str, Any]) -> None:
    model = rtdetr(**SMALL, **head).eval()
    stir(model)
    image = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        raw = model(image)
        memory = model.memory(image)
        chosen = model.selection(memory)
        content, told = model.denoising([QueryObjects.of(truth) for truth in truths(an_object(), an_object())])
        said = model.decoder(
            torch.cat([content, chosen.content], 1),
            torch.cat([told.boxes, chosen.boxes], 1),
            memory,
            seen_by(content.shape[1], told.num_groups, 12, image.device),
        )
    own = said.split(content.shape[1])[1]
    torch.testing.assert_close(own.logits, raw.logits[1:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(own.boxes, raw.boxes[1:], atol=1e-5, rtol=1e-4)


def stir(model: RTDETR) -> None:
    """Let layers that begin with zeros say something."""
    for parameter in model.parameters():
        if parameter.ndim == 2 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)


def test_a_box_teaches_the_layer_before_and_none_farther() -> None:
    model = rtdetr(**SMALL).eval()
    stir(model)
    raw = model(torch.randn(1, 3, *SIZE))
    reached = []
    for answer in raw.boxes[1:]:
        model.zero_grad()
        answer.sum().backward(retain_graph=True)
        grads = [layers.layers[-1].bias.grad for layers in model.decoder.regress]  # type: ignore[union-attr,operator]
        reached.append([grad is not None and bool(grad.any()) for grad in grads])
    assert reached == [[True, False, False], [True, True, False], [False, True, True]]


def test_steps_are_fine_near_zero() -> None:
    steps = step_sizes(0.5, 4.0)
    assert steps.shape == (33,)
    torch.testing.assert_close(steps, -steps.flip(0))
    assert steps[[0, 16, 32]].tolist() == [-4.0, 0.0, 4.0]
    assert steps[31].item() == pytest.approx(2.0)
    assert steps[17].item() == pytest.approx(3 ** (1 / 15) - 1)
    assert (steps[17:32].diff() > 0).all()


def test_edges_lie_between_two_steps_and_lead_back_to_their_box() -> None:
    decoder = DistributionDecoder([], width=8, num_classes=2)
    begun = torch.tensor([[0.5, 0.4, 0.2, 0.3]])
    target = torch.tensor([[0.52, 0.41, 0.25, 0.24]])
    distances = decoder.distances(begun, target)
    low = (begun[:, :2] - box_convert(target, "cxcywh", "xyxy")[:, :2]) / begun[:, 2:] * 4 - 2
    torch.testing.assert_close(distances[:, :2], low)
    below = torch.searchsorted(decoder.steps, distances, right=True) - 1
    share = (distances - decoder.steps[below]) / (decoder.steps[below + 1] - decoder.steps[below])
    likely = torch.full((1, 4, 33), 1e-12)
    likely.scatter_(-1, below[..., None], 1 - share[..., None])
    likely.scatter_(-1, below[..., None] + 1, share[..., None])
    boxes = decoder.boxes(Edges(likely.log()[None, :, None], begun[:, None]))
    torch.testing.assert_close(boxes[0, 0], target[0][None], atol=1e-5, rtol=1e-4)
    entropy = -(share * share.log() + (1 - share) * (1 - share).log())
    torch.testing.assert_close(edge_losses(likely.log(), distances, decoder.steps), entropy, atol=1e-5, rtol=1e-4)
    beyond = edge_losses(torch.zeros(1, 4, 33), torch.tensor([[-9.0, 9.0, 0.0, 4.0]]), decoder.steps)
    torch.testing.assert_close(beyond, torch.full((1, 4), math.log(33)))


@pytest.mark.parametrize("head", [{}, FINE])
def test_numbers_of_sixteen_bits_teach_it_too(head: dict[str, Any]) -> None:
    model = rtdetr(**SMALL, **head)
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.loss(Inputs(torch.randn(2, 3, *SIZE)), truths(an_object(), Target(image_size=SIZE)))
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="width: 100 is no multiple of 8, the number of attention heads"):
        rtdetr(num_classes=2, backbone="resnet10t", width=100)
    module = importlib.import_module("delineate.models.queries.rtdetr")
    monkeypatch.setattr(module, "timm_backbone", lambda name, **_: timm_backbone(name, deepest_stride=16))
    with pytest.raises(InputError, match=r"resnet10t has maps of strides \(2, 4, 8, 16\); RT-DETR looks at 8, "):
        rtdetr(num_classes=2, backbone="resnet10t")


def fine_system(**more: Any) -> System:
    arguments = {key: value for key, value in SMALL.items() if key != "num_classes"} | {"width": 64} | FINE | more
    model = rtdetr(num_classes=len(CATEGORIES.class_names), **arguments)
    return replace(system_of("rtdetr", model), arguments=arguments)


def test_d_fine_overfits_four_pictures() -> None:
    metrics = overfit_boxes(fine_system(num_layers=2), SIZE, 1e-3)
    assert metrics["AP50"] >= 0.95, metrics
    assert metrics["AP75"] >= 0.7, metrics


@pytest.mark.usefixtures("_without_shape_checks")
def test_d_fine_is_exported_without_grid_sample(tmp_path: Path) -> None:
    """The first layer sees means of places, the second the nearest."""
    onnx = pytest.importorskip("onnx")
    torch.manual_seed(0)
    system = fine_system(num_layers=2)
    model = system.model
    assert isinstance(model, RTDETR)
    stir(model)
    model.decoder.layers[1].look.sampling = "discrete"  # type: ignore[union-attr]
    write_onnx(export_program(system, pictures(2, SIZE)[0]), tmp_path / "graph.onnx")
    assert "GridSample" not in {node.op_type for node in onnx.load(tmp_path / "graph.onnx").graph.node}
    run = open_session(tmp_path / "graph.onnx", "onnx", "fp32", torch.device("cpu"))
    images = pictures(3, SIZE)[0]
    with torch.no_grad():
        expected = Graph(system)(images)
    found = run({"pictures": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(found["scores"]), expected["scores"], atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.from_numpy(found["boxes"]), expected["boxes"], atol=1e-2, rtol=0)
