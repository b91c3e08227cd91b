"""One step of training, and the measurement of how many of them a second."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from delineate.data.loading import Batch
from delineate.system.catalog import find_entry
from delineate.training import TrainingSettings, loop, pace, precision
from delineate.training.building import build_loader, build_training
from delineate.training.data import training_data
from delineate.training.learner import Learner, make_fabric, make_learner
from delineate.training.state import State


@pytest.mark.parametrize(
    ("num_batches", "accumulate", "expected"),
    [
        (3, 1, [(1, True)] * 3),
        (4, 2, [(2, False), (2, True)] * 2),
        (5, 3, [(3, False), (3, False), (3, True), (2, False), (2, True)]),
        (2, 4, [(2, False), (2, True)]),
    ],
)
def test_batches_share_a_step_and_fewer_do_at_an_epochs_end(
    num_batches: int, accumulate: int, expected: list[tuple[int, bool]]
) -> None:
    states = [State(batch=batch, num_batches=num_batches) for batch in range(num_batches)]
    assert [state.sharing(accumulate) for state in states] == expected


def learner_of(settings: TrainingSettings) -> tuple[Learner, list[Batch]]:
    system, train, _, _ = build_training(settings)
    fabric = make_fabric(settings, torch.device("cpu"))
    loader = build_loader(settings, train, system, fabric)
    return make_learner(settings, State(num_batches=loader.num_batches), system, fabric), list(loader)


def test_accumulated_batches_equal_one_that_is_as_large(small: dict[str, Any]) -> None:
    settings = {**small, "arguments": {"width": 4, "depth": 1}, "epochs": 1, "optimizer": "sgd", "precision": "fp32"}
    settings |= {"schedule": "constant", "warmup": 0.0, "crop_size": (32, 40), "scale": (1.0, 1.0)}
    weights = []
    for batch_size, accumulate in ((6, 1), (2, 3)):
        changes = {"batch_size": batch_size, "accumulate": accumulate}
        learner, batches = learner_of(TrainingSettings(**{**settings, **changes}))
        learner.system.model.eval()  # no batch statistics, which are each batch's own
        for batch in batches:
            loop.step(learner, batch)
        assert (learner.state.step, learner.state.batch, learner.state.pictures) == (2, len(batches), 12)
        weights.append(learner.kept.model.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-4, atol=1e-5)


def test_a_step_computes_what_bfloat16_makes_slow_in_float32(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels, conv2d = [], precision._conv2d

    def seen(images: Tensor, weight: Tensor, *rest: Any) -> Tensor:
        kernels.append(tuple(weight.shape[1:]))
        return conv2d(images, weight, *rest)

    monkeypatch.setattr(precision, "_conv2d", seen)
    arguments = {"backbone": "mobilenetv3_small_050"}
    settings = TrainingSettings(
        **{**small, "model": "lraspp", "arguments": arguments, "precision": "bf16", "epochs": 1}
    )
    learner, (batch, *_) = learner_of(settings)
    loop.step(learner, batch)
    assert (1, 5, 5) in kernels


def test_gradients_are_clipped(small: dict[str, Any]) -> None:
    lengths = []
    for clip in (1e-3, None):
        settings = {"epochs": 1, "optimizer": "sgd", "clip_gradient": clip, "warmup": 0.0, "weight_decay": 0.0}
        learner, batches = learner_of(TrainingSettings(**small, **settings, learning_rate=1.0))
        before = {name: value.clone() for name, value in learner.system.model.named_parameters()}
        loop.step(learner, batches[0])
        moved = [(value - before[name]).detach().norm() for name, value in learner.system.model.named_parameters()]
        lengths.append(float(torch.stack(moved).norm()))
    assert lengths[0] == pytest.approx(1.9e-3, rel=1e-2)  # Nesterov's first step is 1 + momentum gradients long
    assert lengths[1] > 0.1


def test_the_pace_is_that_of_the_same_step(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    learners = []

    def step(learner: Learner, batch: Batch) -> dict[str, float]:
        learners.append(learner)
        return loop.step(learner, batch)

    monkeypatch.setattr(pace, "step", step)
    random = torch.get_rng_state()
    settings = TrainingSettings(**small, epochs=1, accumulate=2)
    train, *_ = training_data(settings, find_entry(settings.model).task)
    assert pace.pictures_a_second(settings, train) > 0
    (learner,) = set(learners)
    assert learner.state.step == pace.WARM_UP + pace.MEASURED
    assert len(learners) == 2 * learner.state.step
    assert learner.average is not None
    assert not Path(small["out"]).exists()
    assert torch.equal(torch.get_rng_state(), random)
