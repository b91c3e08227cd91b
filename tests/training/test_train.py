import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from delineate.data import read_image
from delineate.evaluation import evaluate_run
from delineate.models.contract import Inputs
from delineate.models.segmentation import Segmenter
from delineate.system.system import System
from delineate.training import Run, TrainingSettings, recording, resume, train
from delineate.values import InputError, Truth

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")


def test_a_run_learns_and_its_folder_can_be_used(small: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    settings = TrainingSettings(**small, epochs=12, learning_rate=0.03, scale=(1.0, 1.0))
    result = train(settings)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 3 + 12
    run = Run.open(result.folder)
    names = {path.name for path in run.folder.iterdir()}
    weights = {f"{kind}.{suffix}" for kind in ("best", "last") for suffix in ("safetensors", "json")}
    pictures = {"curves.png", "predictions.png"}
    assert (
        names == {"settings.json", "trained_on.txt", "metrics.csv", "resume.ckpt", "tensorboard"} | weights | pictures
    )
    assert all(read_image(run.folder / name).float().std() > 1 for name in pictures)

    history = run.read_metrics()
    assert [row["epoch"] for row in history] == list(range(1, 13))
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert result.metrics["mIoU"] == max(row["mIoU"] for row in history) > 0.9
    assert System.load(run.best).metrics == result.metrics
    assert evaluate_run(run.folder, small["data"]).metrics == pytest.approx(result.metrics)
    assert json.loads(run.settings_file.read_text())["learning_rate"] == 0.03
    complete = {"data": settings.data.absolute(), "arguments": {**settings.arguments, "dice": 0.0}}
    complete |= {"devices": 1, "num_nodes": 1}
    assert run.settings() == settings.model_copy(update=complete)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(small: dict[str, Any], tmp_path: Path) -> None:
    state = torch.get_rng_state()
    one, same, other = (
        train(TrainingSettings(**{**small, "out": tmp_path / name, "workers": workers}, epochs=1, seed=seed))
        for name, workers, seed in (("one", 0, 3), ("same", 2, 3), ("other", 0, 4))
    )
    weights = [(run.folder / "last.safetensors").read_bytes() for run in (one, same, other)]
    assert weights[0] == weights[1] != weights[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_run_by_minutes_anneals_and_stops_in_time(small: dict[str, Any]) -> None:
    result = train(TrainingSettings(**small, minutes=2 / 60))
    assert result.seconds == pytest.approx(2, abs=0.5)
    history = Run(result.folder).read_metrics()
    assert history[-1]["learning_rate"] < 1e-4
    assert "mIoU" in history[-1]


@pytest.mark.parametrize(("seconds", "first"), [(0.0, True), (754.0, False)])
def test_a_validation_that_takes_long_beside_the_minutes_is_done_once_and_said(
    small: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    first: bool,
) -> None:
    monkeypatch.setattr(recording, "expected_seconds", lambda *_: seconds)
    history = Run(train(TrainingSettings(**small, minutes=2 / 60)).folder).read_metrics()
    validated = ["mIoU" in row for row in history]
    assert (validated[0], validated[-1]) == (first, True)
    assert len(history) > 2
    assert first or sum(validated) == 1
    said = "takes about 12:34, more than a tenth of the minutes: it is done once, after them"
    assert capsys.readouterr().err.count(said) == (not first)


def test_it_stops_early_when_validations_get_no_better(small: dict[str, Any]) -> None:
    # at this learning rate nothing changes, so the first validation stays the best
    result = train(TrainingSettings(**small, epochs=9, early_stopping=2, learning_rate=1e-12, ema=None))
    history = Run(result.folder).read_metrics()
    best = max(range(len(history)), key=lambda row: history[row]["mIoU"])
    assert len(history) == best + 3 < 9


def test_without_validations_the_last_weights_are_kept(small: dict[str, Any]) -> None:
    result = train(TrainingSettings(**small, epochs=2, val_every=0))
    run = Run(result.folder)
    assert result.metrics == {}
    assert [set(row) & {"mIoU", "val_seconds"} for row in run.read_metrics()] == [set(), set()]
    assert run.best.read_bytes() == run.last.read_bytes()
    assert "mIoU" in evaluate_run(run.folder, small["data"]).metrics
    with pytest.raises(InputError, match="early_stopping counts validations, and val_every is 0"):
        TrainingSettings(**small, val_every=0, early_stopping=2)


def test_a_loss_that_is_no_number_stops_and_names_the_pictures(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(self: Segmenter, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        return {"cross_entropy": self(*inputs).logits.sum() * float("nan")}

    monkeypatch.setattr(Segmenter, "loss", loss)
    with pytest.raises(InputError, match=r"the loss is nan in epoch 1, batch 1; .*train/\d+\.png, .*train/\d+\.png$"):
        train(TrainingSettings(**small, epochs=1))


def test_unreadable_pictures_stop_the_run_or_are_reported_once(
    small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    shutil.copytree(small["data"], root)
    broken = root / "images" / "train" / "5.png"
    broken.write_bytes(broken.read_bytes()[:60])
    settings = {**small, "data": root, "epochs": 3, "crop_size": (32, 32)}
    with pytest.raises(InputError, match=str(broken)):
        train(TrainingSettings(**settings))
    capsys.readouterr()
    train(TrainingSettings(**{**settings, "out": tmp_path / "again", "skip_unreadable": True}))
    printed = capsys.readouterr().err
    assert printed.count(str(broken)) == 1
    assert printed.splitlines()[-1] == "skipped 1 of 16 pictures that cannot be read"


def test_what_is_broken_within_is_passed_over_by_a_run_that_goes_on(
    small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    shutil.copytree(small["data"], root)
    broken = root / "images" / "train" / "5.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:60] + bytes(40) + whole[100:])
    with pytest.raises(InputError, match=rf"{broken}: .*--skip-unreadable"):
        train(TrainingSettings(**{**small, "data": root, "crop_size": (32, 32)}, epochs=1))
    resume(small["out"], skip_unreadable=True)
    assert "skipped 1 of 16 pictures that cannot be read" in capsys.readouterr().err


def test_backbones_begin_with_given_weights_and_keep_frozen_stages(small: dict[str, Any], tmp_path: Path) -> None:
    import timm

    published = timm.create_model("test_resnet.r160_in1k", pretrained=False).state_dict()
    torch.save(published, tmp_path / "backbone.pth")
    changes = {"model": "unet", "arguments": {"backbone": "test_resnet"}, "ema": None, "epochs": 1}
    settings = {**small, **changes, "backbone_weights": tmp_path / "backbone.pth", "freeze_until": 1}
    model = System.load(Run(train(TrainingSettings(**settings)).folder).last).model
    weights = {name.removeprefix("network.encoder.body."): value for name, value in model.state_dict().items()}
    assert torch.equal(weights["conv1.0.weight"], published["conv1.0.weight"])
    assert torch.equal(weights["layer1.0.bn1.running_mean"], published["layer1.0.bn1.running_mean"])
    assert not torch.equal(weights["layer4.0.conv1.weight"], published["layer4.0.conv1.weight"])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"model": "unett"}, "'unett' is not in the catalog; near: unet"),
        ({"train_split": "trian"}, "no split 'trian'; there are: train, val"),
        ({"freeze_until": 1}, "fcn_full_resolution has no backbone"),
        pytest.param({"device": "cuda"}, "device: 'cuda' is not to be had", marks=without_gpu),
    ],
)
def test_mistakes_are_found_before_the_folder_is_made(
    small: dict[str, Any], changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(InputError, match=line):
        train(TrainingSettings(**{**small, **changes}))
    assert not small["out"].exists()


def test_a_run_is_not_overwritten(small: dict[str, Any]) -> None:
    train(TrainingSettings(**small, epochs=1))
    with pytest.raises(InputError, match="is a run already; continue it with --resume"):
        train(TrainingSettings(**small, epochs=1))
