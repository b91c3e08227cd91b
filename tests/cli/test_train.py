import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from delineate.catalog import CATALOG, options
from delineate.cli.train import NOT_OPTIONS, train_command
from delineate.training import TrainingSettings


def test_help_lists_every_system(delineate: Callable) -> None:
    shown = delineate("train", "--help").out
    assert all(name in shown for name in CATALOG)


@pytest.mark.parametrize("name", CATALOG)
def test_every_option_of_the_system_and_of_training_is_there(name: str) -> None:
    parameters = inspect.signature(train_command(name)).parameters
    expected = {*options(name), *TrainingSettings.model_fields} - set(NOT_OPTIONS)
    assert expected <= set(parameters)
    assert set(parameters) - expected == {"data", "as_json", "no_ema", "no_clip_gradient"}


def test_help_says_what_options_mean(delineate: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = delineate("train", "unet", "--help").out
    assert "How maps grow again" in shown
    assert "Pictures in a step" in shown
    assert "Ronneberger" in shown


def test_options_reach_the_settings(delineate: Callable, data: Path, tmp_path: Path) -> None:
    arguments = ["--width", 4, "--upsampler", "bilinear", "--no-ema", "--scale", 1, 1.5, "--workers", 0, "--seed", 3]
    ended = delineate(
        "train",
        "segnet_basic",
        data,
        "--epochs",
        1,
        "--out",
        tmp_path / "run",
        "--crop-size",
        32,
        48,
        *arguments,
        "--json",
    )
    assert set(ended.json) == {"run", "metrics", "seconds", "pictures"}
    assert ended.json["run"] == str(tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["arguments"] == {"width": 4, "upsampler": "bilinear", "downsampling": "max_pool", "dice": 0.0}
    assert settings["ema"] is None
    assert settings["clip_gradient"] == 1.0
    assert settings["scale"] == [1, 1.5]
    assert settings["crop_size"] == [32, 48]
    assert settings["seed"] == 3


def test_resume_needs_neither_model_nor_data(delineate: Callable, trained: Path) -> None:
    ended = delineate("train", "--resume", trained, "--json")
    assert ended.json["run"] == str(trained)
    assert "complete" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unett", "DATA"], "'unett' is not in the catalog; near: unet"),
        (["unet", "nowhere"], "nowhere: there is no such folder"),
        (["unet"], "Missing argument 'DATA'"),
        (["unet", "DATA", "--epoch", "3"], "No such option: --epoch (Possible options: --epochs"),
        (["unet", "DATA", "--upsampler", "cubic"], "Invalid value for '--upsampler': 'cubic' is not one of 'nearest'"),
        (["unet", "DATA", "--batch-size", "0"], "batch_size: "),
        (["unet", "DATA", "--train-split", "training"], "no split 'training'; there are: train, val"),
        (["unet", "DATA", "--backbone", "resnet19"], "'resnet19' is no timm model; near: resnet18"),
        (["unet", "DATA", "--upsampler", "max_unpool"], "plain"),
        (["--resume", "DATA"], "settings.json"),
        (["--resume", "nowhere"], "nowhere"),
    ],
)
def test_mistakes(delineate: Callable, data: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    out = [] if "--resume" in arguments else ["--out", tmp_path / "run"]
    line = delineate("train", *[data if part == "DATA" else part for part in arguments], *out).mistake
    assert message in line
    assert not (tmp_path / "run").exists()


def test_an_empty_folder(delineate: Callable, tmp_path: Path) -> None:
    assert "the folder is empty; looked for coco: " in delineate("train", "unet", tmp_path).mistake


def test_a_wrong_label(delineate: Callable, mask_folder: Path, tmp_path: Path) -> None:
    label_map = Image.new("L", (32, 32), 9)
    for name in ("a", "b", "c"):
        label_map.save(mask_folder / "labels" / "train" / f"{name}.png")
    line = delineate("train", "segnet_basic", mask_folder, "--out", tmp_path / "run", "--workers", 0).mistake
    assert "labels/train/" in line
    assert "9" in line


def test_a_truncated_picture(delineate: Callable, mask_folder: Path, tmp_path: Path) -> None:
    for picture in (mask_folder / "images" / "train").iterdir():
        picture.write_bytes(picture.read_bytes()[:60])
    line = delineate("train", "segnet_basic", mask_folder, "--out", tmp_path / "run", "--workers", 0).mistake
    assert "images/train/" in line
