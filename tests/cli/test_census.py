"""What is in the data is said before time is spent, by each command that spends it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.small import boxes, write_yolo

from delineate.data import read_dataset
from delineate.nn.norms import FEW
from delineate.training import Run
from delineate.training.pace import pictures_a_second

TINY = ("--epochs", 1, "--image-size", 64, "--backbone", "resnet10t", "--workers", 0, "--batch-size", 2)
STUDY = ("--budget-minutes", 0.02, "--models", "ssd", "--backbones", "resnet10t", "--image-sizes", 64)


@pytest.fixture
def without_val(tmp_path: Path) -> Path:
    """A set whose split val has no object."""
    return write_yolo(tmp_path / "data", {"train": [boxes(2, 1)] * 2, "val": ["", ""]})


def test_training_goes_on_where_nothing_can_be_measured(delineate: Callable, without_val: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ended = delineate("train", "ssd", without_val, *TINY, "--out", run, "--json")
    assert ended.json["metrics"] == {}
    lines = ended.err.splitlines()
    assert "train: 2 pictures, 4 objects (dog 4)" in lines
    assert "train: no object of cat" in lines
    assert "val: 2 pictures, 0 objects, 2 pictures without annotation" in lines
    assert any(line.startswith("val: nothing to measure: ") and "goes on unmeasured" in line for line in lines)
    assert (run / "best.safetensors").exists()
    assert (run / "predictions.png").exists()
    assert "is complete" in delineate("train", "--resume", run).err
    assert "nothing to measure on: there is no object" in delineate("val", run, without_val).mistake
    held = write_yolo(tmp_path / "other", {"val": [boxes(3), ""]})
    ended = delineate("val", run, held, "--workers", 0, "--json")
    assert ended.json["metrics"]["AP"] >= 0
    assert "val: 2 pictures, 3 objects (cat 3), 1 picture without annotation" in ended.err


def test_nothing_to_learn_from_is_refused_before_a_run_is_made(delineate: Callable, tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2, side=0.01)] * 2, "val": [boxes(2)]})
    mistake = delineate("train", "ssd", root, *TINY, "--out", tmp_path / "run").mistake
    assert mistake.startswith(
        f"{root}: split 'train': nothing to learn from: all 4 objects are below a pixel at 64 x 64"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_a_study_is_refused_before_its_budget(
    delineate: Callable, without_val: Path, tmp_path: Path, dry_run: tuple[str, ...]
) -> None:
    ended = delineate("compare", without_val, "--out", tmp_path / "study", *STUDY, *dry_run)
    assert ended.code == 2
    assert "split 'val': nothing to measure on" in ended.err
    assert not (tmp_path / "study").exists()


def test_a_plan_says_what_is_there(delineate: Callable, tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2)] * 2, "val": [boxes(3)]})
    ended = delineate("compare", root, "--out", tmp_path / "study", *STUDY, "--dry-run", "--json")
    assert len(ended.json["entries"]) == 1
    assert "val: 1 picture, 3 objects (cat 3)" in ended.err


def test_proposals_are_not_measured_where_there_is_nothing(
    delineate: Callable, without_val: Path, tmp_path: Path
) -> None:
    options = ("--proposer", "sliding_window", "--out", tmp_path / "out")
    assert "nothing to measure on" in delineate("propose", without_val, "--split", "val", *options).mistake
    ended = delineate("propose", without_val, "--split", "train", *options)
    assert "train: 2 pictures, 4 objects (dog 4)" in ended.err


def test_what_is_converted_is_counted(delineate: Callable, without_val: Path, tmp_path: Path) -> None:
    ended = delineate("convert", without_val, tmp_path / "coco", "--to", "coco", "--json")
    assert ended.json["losses"] == []
    assert "train: 2 pictures, 4 objects (dog 4)" in ended.err


def test_what_a_reader_left_out_is_said_by_every_command(delineate: Callable, tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2)] * 3, "val": [boxes(2)] * 2})
    for split in ("train", "val"):
        (root / "labels" / split / "1.txt").unlink()
    line = "1 picture without label file, taken as empty: 1.png"
    run = tmp_path / "run"
    train, val = (f"{root / 'images' / split}: {line}" for split in ("train", "val"))
    said = delineate("train", "ssd", root, *TINY, "--out", run).err.splitlines()
    assert {train, val} <= set(said)
    assert any(text.startswith("each picture was seen 0.67 times, where about 10") for text in said)
    assert val in delineate("val", run, root, "--workers", 0).err.splitlines()
    options = ("--proposer", "sliding_window", "--split", "val", "--out", tmp_path / "out")
    assert val in delineate("propose", root, *options).err.splitlines()
    losses = delineate("convert", root, tmp_path / "coco", "--to", "coco", "--json").json["losses"]
    assert {f"train: {train}", f"val: {val}"} <= set(losses)


def test_a_picture_with_more_objects_than_are_found_is_said_by_val(delineate: Callable, tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2)] * 2, "val": [boxes(3)]})
    delineate("train", "ssd", root, *TINY, "--out", tmp_path / "run", "--max-detections", 2)
    said = delineate("val", tmp_path / "run", root, "--workers", 0).err.splitlines()
    assert "split val: a picture has 3 objects, of which 2 are found at most" in said


def test_batches_of_one_value_a_channel_train_and_are_timed(
    delineate: Callable, mask_folder: Path, tmp_path: Path
) -> None:
    options = ("--backbone", "resnet10t", "--epochs", 1, "--crop-size", 32, 32, "--batch-size", 1, "--workers", 0)
    ended = delineate("train", "unet", mask_folder, *options, "--out", tmp_path / "run", "--json")
    assert ended.json["pictures"] == 2
    assert FEW in ended.err.splitlines()
    settings = Run.open(tmp_path / "run").settings()
    assert pictures_a_second(settings, read_dataset(mask_folder, "train")) > 0
