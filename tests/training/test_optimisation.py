import math

import pytest
import torch
from torch import nn

from delineate.models.one_stage.yolov1 import LocallyConnected
from delineate.training import TrainingSettings
from delineate.training.optimisation import begin_average, learning_rate, make_optimizer, update_average


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings(model="unet", data=".", learning_rate=0.1, **changes)


def test_the_learning_rate_rises_then_follows_its_schedule_to_zero() -> None:
    cosine = settings(warmup=0.2)
    assert learning_rate(cosine, 0.0) == pytest.approx(0.001)
    assert learning_rate(cosine, 0.1) == pytest.approx(0.0505)
    assert learning_rate(cosine, 0.2) == pytest.approx(0.1)
    assert learning_rate(cosine, 0.4) == pytest.approx(0.05 * (1 + math.cos(math.pi / 4)))
    assert learning_rate(cosine, 1.0) == 0
    poly = settings(warmup=0.0, schedule="poly")
    assert [learning_rate(poly, share) for share in (0.0, 0.5, 1.0)] == pytest.approx([0.1, 0.1 * 0.5**0.9, 0])
    assert learning_rate(settings(warmup=0.0, schedule="constant"), 1.0) == 0.1


def test_norms_and_biases_do_not_decay_and_frozen_weights_are_left_out() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    model[2].requires_grad_(False)
    decaying, others = make_optimizer(model, settings(weight_decay=0.3)).param_groups
    assert [id(weight) for weight in decaying["params"]] == [id(model[0].weight)]
    assert {id(weight) for weight in others["params"]} == {id(model[0].bias), id(model[1].weight), id(model[1].bias)}
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)


def test_a_bias_of_each_place_does_not_decay() -> None:
    model = LocallyConnected(3, 5, 4)
    decaying, others = make_optimizer(model, settings(weight_decay=0.3)).param_groups
    assert decaying["params"] == [model.weight]
    assert others["params"] == [model.bias]


def test_the_average_follows_its_formula_statistics_included() -> None:
    model = nn.BatchNorm2d(1)
    average = begin_average(model)
    expected = [1.0, 0.0]
    for step in range(1, 40):
        with torch.no_grad():
            model.weight.fill_(step)
            model.running_mean.fill_(-step)
            model.num_batches_tracked.fill_(step)
        update_average(average, model, 0.5, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [decay * expected[0] + (1 - decay) * step, decay * expected[1] - (1 - decay) * step]
    assert [float(average.weight), float(average.running_mean)] == pytest.approx(expected)
    assert int(average.num_batches_tracked) == 39
    assert not average.weight.requires_grad
    assert not average.training
