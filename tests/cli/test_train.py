import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from delineate.cli.schema import NOT_OPTIONS
from delineate.cli.train import train_command
from delineate.system.catalog import CATALOG, options
from delineate.training import TrainingSettings


def test_help_lists_every_system(delineate: Callable) -> None:
    shown = delineate("train", "--help").out
    assert all(name in shown for name in CATALOG)


@pytest.mark.parametrize("name", CATALOG)
def test_every_option_of_the_system_and_of_training_is_there(name: str) -> None:
    parameters = inspect.signature(train_command(name)).parameters
    expected = {*options(name), *TrainingSettings.model_fields} - set(NOT_OPTIONS)
    assert expected <= set(parameters)
    assert set(parameters) - expected == {"context", "data", "resume", "as_json", "no_ema", "no_clip_gradient"}


def test_help_says_what_options_mean(delineate: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = delineate("train", "unet", "--help").out
    assert "How maps grow again" in shown
    assert "Pictures in a batch" in shown
    assert "Ronneberger" in shown


def test_help_of_a_detector_is_not_crowded(delineate: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    shown = delineate("train", "mask_rcnn", "--help").out
    assert "--no-fpn" in shown
    assert "--frozen-norm" in shown
    assert "--no-frozen-norm" not in shown, "what is off unless asked for has one flag"
    assert "<warp|pool|align>" in shown
    assert "<sliding_window|" not in shown
    words = " ".join(shown.replace("│", " ").split())
    assert "One of sliding_window, selective_search, rpn." in words


def test_flags_of_a_detector_reach_it(delineate: Callable, data: Path, tmp_path: Path) -> None:
    arguments = ["--no-fpn", "--frozen-norm", "--proposer", "sliding_window", "--backbone", "resnet10t"]
    small = ["--width", 16, "--num-rois", 8, "--epochs", 1, "--workers", 0, "--batch-size", 4]
    out = tmp_path / "run"
    assert delineate("train", "mask_rcnn", data, *arguments, *small, "--out", out, "--json").code == 0
    settings = json.loads((out / "settings.json").read_text())["arguments"]
    assert (settings["fpn"], settings["frozen_norm"], settings["proposer"]) == (False, True, "sliding_window")


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


def test_a_run_may_go_on_without_what_cannot_be_read(delineate: Callable, data: Path, trained: Path) -> None:
    for arguments in (("--resume", trained), ("--resume", trained, "segnet_basic", data)):
        ended = delineate("train", *arguments[:2], "--skip-unreadable", *arguments[2:])
        assert "this run is complete" in ended.err
        assert ended.out.endswith(
            f"measure it: delineate val {trained}; use it: delineate predict {trained} PICTURES\n"
        )


def test_a_run_that_is_named_is_never_begun_anew(delineate: Callable, trained: Path) -> None:
    own = json.loads((trained / "settings.json").read_text())
    system, data = own["model"], own["data"]
    for arguments in (["--resume", trained, system, data], [system, data, "--resume", trained]):
        assert "complete" in delineate("train", *arguments).err
        line = delineate("train", *arguments, "--epochs", 99).mistake
        assert "epochs: 99 is given" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unett", "DATA"], "'unett' is not in the catalog; near: unet"),
        (["unet", "nowhere"], "nowhere: there is no such folder"),
        (["unet"], "Missing argument 'DATA'"),
        (["unet", "DATA", "--epoch", "3"], "No such option: --epoch; did you mean --epochs?"),
        (["mask_rcnn", "DATA", "--proposer", "rpm"], "Invalid value for '--proposer': 'rpm' is not one of 'sliding"),
        (["mask_rcnn", "DATA", "--roi", "warp"], "choose --roi pool or align"),
        (["unet", "DATA", "--upsampler", "cubic"], "Invalid value for '--upsampler': 'cubic' is not one of 'nearest'"),
        (["unet", "DATA", "--batch-size", "0"], "batch_size: "),
        (["unet", "DATA", "--train-split", "elsewhere"], "no split 'elsewhere'; there are: train, val"),
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
    assert "the folder is empty; looked for coco (" in delineate("train", "unet", tmp_path).mistake


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


def test_a_run_begins_with_anothers_weights_and_options(delineate: Callable, data: Path, tmp_path: Path) -> None:
    small = ["--epochs", 1, "--workers", 0, "--batch-size", 4, "--json"]
    first, second = tmp_path / "first", tmp_path / "second"
    own = ["--width", 16, "--num-rois", 8, "--backbone", "resnet10t", "--no-fpn"]
    assert delineate("train", "faster_rcnn", data, *own, "--short-side", 40, *small, "--out", first).code == 0
    ended = delineate("train", "faster_rcnn", data, "--weights", first, "--num-rois", 16, *small, "--out", second)
    assert ended.code == 0
    assert f"weights: those of {first}" in ended.err
    settings = json.loads((second / "settings.json").read_text())
    arguments = settings["arguments"]
    assert (arguments["width"], arguments["fpn"], arguments["num_rois"]) == (16, False, 16)
    assert settings["short_side"] == 40


def test_weights_of_another_system_are_refused(delineate: Callable, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "first"
    small = ["--width", 4, "--epochs", 1, "--workers", 0, "--batch-size", 4, "--json"]
    assert delineate("train", "fcn_full_resolution", data, *small, "--out", out).code == 0
    line = delineate("train", "faster_rcnn", data, "--backbone", "resnet10t", "--weights", out).mistake
    assert f"{out} is a fcn_full_resolution, no weight of which fits" in line


def test_a_system_of_one_size_trains_with_its_recipe(delineate: Callable, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    own = ["--backbone", "resnet10t", "--image-size", 64, "--epochs", 1, "--workers", 0, "--batch-size", 4]
    assert delineate("train", "ssd", data, *own, "--out", out, "--json").code == 0
    assert json.loads((out / "settings.json").read_text())["augment"] == "ssd"
    assert json.loads((out / "best.json").read_text())["preprocess"]["size"] == [64, 64]
    assert "AP50" in json.loads(delineate("val", out, data, "--json").out)["metrics"]
    line = delineate("train", "ssd", data, *own, "--short-side", 100, "--out", tmp_path / "other").mistake
    assert line.endswith("short_side: ssd resizes every picture to 64 x 64; leave short_side out")
