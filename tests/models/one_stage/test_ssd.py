import math
from typing import Any

import pytest
import torch
from tests.models.systems import overfit_boxes, pictures, system_of
from torch import nn

from delineate.data.preprocess import Preprocess
from delineate.models.contract import Inputs
from delineate.models.one_stage.ssd import SSD, VGGLevels, hardest, ssd, ssd300, ssd512
from delineate.models.segmentation.encoders import PlainEncoder
from delineate.values import Target, truths_of


@pytest.mark.parametrize(("make", "count"), [(ssd300, 8732), (ssd512, 24564)])
def test_the_papers_networks_have_as_many_default_boxes(make: Any, count: int) -> None:
    model = make(num_classes=20).eval()
    with torch.inference_mode():
        outputs = model(torch.zeros(1, 3, *model.input_size))
    assert outputs.boxes.shape == (count, 4)
    assert outputs.logits.shape == (1, count, 21)
    assert outputs.deltas.shape == (1, count, 4)


def small() -> SSD:
    return ssd(num_classes=2, backbone="resnet10t", image_size=96)


def test_shapes_are_squares_and_pairs_of_each_ratio() -> None:
    boxes = small().default_boxes([(1, 1)] * 6, (100, 200))[:6]
    sides = (boxes[:, 2:] - boxes[:, :2]) / torch.tensor([200.0, 100.0])
    between = math.sqrt(0.1 * 0.26)
    expected = [[0.1, 0.1], [between, between]]
    for ratio in (2, 3):
        wide, narrow = 0.1 * math.sqrt(ratio), 0.1 / math.sqrt(ratio)
        expected += [[wide, narrow], [narrow, wide]]
    torch.testing.assert_close(sides, torch.tensor(expected))
    torch.testing.assert_close((boxes[:, :2] + boxes[:, 2:]) / 2, torch.tensor([[100.0, 50.0]]).expand(6, 2))


def test_sides_larger_than_the_picture_are_cut_where_the_weights_were_learned_so() -> None:
    model = small()
    last = slice(-6, None)  # the coarsest level: shapes of 0.9, and between 0.9 and 1
    shares = [0.9, math.sqrt(0.9), 0.9 * math.sqrt(2), 0.9 / math.sqrt(2), 0.9 * math.sqrt(3), 0.9 / math.sqrt(3)]

    def widths() -> torch.Tensor:
        boxes = model.default_boxes([(1, 1)] * 6, (100, 200))[last]
        return (boxes[:, 2] - boxes[:, 0]) / 200

    torch.testing.assert_close(widths(), torch.tensor(shares))
    earlier = {key: value for key, value in model.state_dict().items() if key != "whole_sides"}
    model.load_state_dict(earlier)
    torch.testing.assert_close(widths(), torch.tensor(shares).clamp(max=1))
    model.load_state_dict(small().state_dict())
    torch.testing.assert_close(widths(), torch.tensor(shares))


@pytest.mark.parametrize("backbone", ["resnet10t", "mobilenetv3_small_050", "tf_efficientnet_lite0"])
def test_nothing_is_decided_before_the_first_step_whatever_the_backbone(backbone: str) -> None:
    torch.manual_seed(0)
    model = ssd(num_classes=2, backbone=backbone, image_size=96).train()
    images, _targets = pictures(4, (96, 96))
    raw = model(Preprocess().normalise(images))
    assert raw.logits.softmax(-1).sub(1 / 3).abs().max() < 0.15
    cross_entropy = -raw.logits.detach().log_softmax(-1).mean()
    assert float(cross_entropy) == pytest.approx(math.log(3), rel=0.01)


def test_nothing_is_decided_however_strong_a_trained_backbones_maps_are() -> None:
    model = small().train()
    backbone = model.levels.backbone
    backbone.register_forward_hook(
        lambda _, __, made: made._replace(levels=tuple(100 * level for level in made.levels))
    )
    raw = model(Preprocess().normalise(pictures(4, (96, 96))[0]))
    assert raw.logits.softmax(-1).sub(1 / 3).abs().max() < 0.15


def test_any_size_of_pictures_goes_through() -> None:
    model = small().eval()
    with torch.inference_mode():
        outputs = model(torch.zeros(1, 3, 70, 131))
    # ceil(side / 8), halved and rounded up again and again
    grids = [(9, 17), (5, 9), (3, 5), (2, 3), (1, 2), (1, 1)]
    assert len(outputs.boxes) == 6 * sum(rows * columns for rows, columns in grids)


@pytest.mark.parametrize("size", [64, 96])
def test_gradients_in_bfloat16_do_not_depend_on_what_was_in_memory(size: int) -> None:
    model = ssd(num_classes=2, backbone="resnet10t", image_size=size)
    images, targets = pictures(2, (size, size))
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.loss(Inputs(Preprocess().normalise(images)), truths_of(targets))
    for _ in range(3):  # what is freed is given out again
        litter = [torch.full((int(2 ** (power / 2)),), math.nan) for power in range(4, 40) for _ in range(6)]
        del litter
    sum(losses.values()).backward()
    assert [key for key, weight in model.named_parameters() if not weight.grad.isfinite().all()] == []


def test_the_hardest_negatives_are_counted_picture_by_picture() -> None:
    losses = torch.tensor([[3.0, 1.0, 2.0, 5.0], [1.0, 2.0, 3.0, 4.0]])
    negative = torch.tensor([[True, True, True, False], [False, False, True, False]])
    assert hardest(losses, negative, torch.tensor([2, 3])).tolist() == [
        [True, False, True, False],
        [False, False, True, False],
    ]


def test_what_a_crowd_covers_is_no_negative() -> None:
    model = small()
    nn.init.zeros_(model.classify[0].bias)
    inputs = Inputs(torch.randn(1, 3, 96, 96))
    whole = {"image_size": (96, 96), "boxes": torch.tensor([[0.0, 0.0, 96.0, 96.0]]), "labels": torch.tensor([0])}
    assert model.loss(inputs, truths_of([Target(**whole)]))["class"] > 0
    crowd = Target(**whole, crowd=torch.tensor([True]))
    assert model.loss(inputs, truths_of([crowd])) == {"class": 0, "box": 0}


def test_a_picture_without_objects_teaches_by_its_hardest_boxes() -> None:
    losses = small().loss(Inputs(torch.randn(2, 3, 96, 96)), truths_of([Target(image_size=(96, 96))] * 2))
    assert losses["class"] > 0
    assert losses["box"] == 0


@pytest.mark.parametrize("make", [ssd300, ssd512])
def test_the_papers_levels_overfit_four_pictures_at_a_tiny_width(make: Any) -> None:
    paper = make(num_classes=2)
    convs = [extra[2] for extra in paper.levels.extras]
    extras = [(64, conv.kernel_size[0], conv.stride[0], conv.padding[0]) for conv in convs]
    model = SSD(
        levels=VGGLevels(PlainEncoder(widths=(8, 16, 16, 32, 32), depths=(1,) * 5, tap="conv"), extras),
        num_classes=2,
        scales=paper.scales,
        aspect_ratios=paper.aspect_ratios,
        strides=paper.strides,
        input_size=paper.input_size,
    )
    metrics = overfit_boxes(system_of("ssd", model), paper.input_size, 1e-3)
    assert metrics["AP50"] >= 0.95, metrics
