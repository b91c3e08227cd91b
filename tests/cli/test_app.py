import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import delineate as library
from delineate.cli import app

HEAVY = {"torch", "torchvision", "timm", "lightning", "numpy", "matplotlib", "scipy", "numba", "transformers"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["models"],
        ["models", "--json"],
        ["train", "--help"],
        ["train", "ssd", "--help"],
        ["trian"],
        ["train", "ssdd", "."],
        ["train", "ssd", ".", "--lr", "0.1"],
        ["train", "ssd", ".", "--epochs", "abc"],
        ["train", "ssd", "nowhere"],
        ["val", "nowhere", "."],
        ["val", "--spilt", "x"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported_for_help_and_mistakes(arguments: list[str]) -> None:
    code = f"import sys, delineate.cli.app as app; app.run({arguments}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert not HEAVY & set(done.stderr.split())


def test_help_lists_all_commands(delineate: Callable) -> None:
    shown = delineate("--help").out
    assert [command for command in app.ORDER if command in shown] == list(app.ORDER)


def test_without_a_command_there_is_help(delineate: Callable) -> None:
    assert delineate().out == delineate("--help").out


def test_version(delineate: Callable) -> None:
    assert delineate("--version").out == f"delineate {library.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'. Did you mean train?"),
        (["predit"], "Did you mean predict?"),
        (["eval"], "Did you mean val?"),
        (["???"], "No such command '???'"),
        (["--versoin"], "No such option: --versoin; did you mean --version?"),
        (["--xyz"], "No such option: --xyz; `delineate --help` lists all"),
        (["train", "ssdd", "."], "'ssdd' is not in the catalog; near: ssd, "),
        (["train", "ssd", ".", "--lr", "0.1"], "No such option: --lr; did you mean --learning-rate?"),
        (["train", "ssd", ".", "--imgsz", "64"], "--imgsz; did you mean --image-size or --short-side?"),
        (["train", "unet", ".", "--imgsz", "64"], "--imgsz; did you mean --short-side?"),
        (["train", "ssd", ".", "--epohcs", "1"], "--epohcs; did you mean --epochs?"),
        (["train", "ssd", "--data", "."], "--data; did you mean DATA, without a name?"),
        (["train", "--model", "ssd"], "--model; did you mean MODEL, without a name?"),
        (["train", "ssd", ".", "--model", "ssd"], "--model; did you mean MODEL, without a name?"),
        (["predict", ".", ".", "--conf", "0.2"], "--conf; did you mean --min-score?"),
        (["val", ".", ".", "--iou", "0.2"], "--iou; did you mean --nms-iou?"),
        (["synth"], "Missing argument 'DST'"),
        (["synth", "x", "--num-images", "many"], "Invalid value for '--num-images'"),
        (["predict", "run", "a.jpg", "--weights", "good"], "'good' is not one of 'best', 'last'"),
    ],
)
def test_a_mistake_is_one_line(delineate: Callable, arguments: list[str], message: str) -> None:
    assert message in delineate(*arguments).mistake


def test_a_path_that_cannot_be_written_is_one_line(delineate: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "Not a directory" in delineate("synth", str(tmp_path / "file" / "x"), "--num-images", "3").mistake


def test_what_is_there_already_is_kept(delineate: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    assert "there is something already" in delineate("synth", str(tmp_path), "--num-images", "3").mistake


def test_a_bug_is_not_hidden(delineate: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delineate.cli.models.schema", dict)
    with pytest.raises(KeyError):
        delineate("models")


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "delineate", "synth", str(tmp_path / "data"), "--num-images", "100000"]
    # a job in the background of a shell begins with Ctrl-C ignored, and its children inherit that
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "src"}
    ) as process:
        signal.signal(signal.SIGINT, before)
        while not (tmp_path / "data").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_everything_public_is_there() -> None:
    for name in library.__all__:
        assert getattr(library, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = library.nothing
