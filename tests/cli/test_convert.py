import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from delineate.data import Synthetic, read_dataset


def test_synth_writes_what_the_seed_says(delineate: Callable, tmp_path: Path) -> None:
    arguments = ["--num-images", 5, "--seed", 7, "--image-size", 48, 64]
    result = delineate("synth", tmp_path / "data", *arguments, "--json").json
    assert result == {"destination": str(tmp_path / "data"), "num_images": 5, "seed": 7}
    train, val = (read_dataset(tmp_path / "data", split) for split in ("train", "val"))
    assert (len(train), len(val)) == (4, 1)
    expected = Synthetic(5, seed=7, image_size=(48, 64))
    assert torch.equal(train[2].target.label_map, expected[2].target.label_map)
    assert torch.equal(val[0].image, expected[4].image)


def test_convert_says_what_is_lost(delineate: Callable, data: Path, tmp_path: Path) -> None:
    result = delineate("convert", data, tmp_path / "masks", "--to", "mask_folder", "--json").json
    assert set(result) == {"source", "destination", "format", "losses"}
    assert any("keypoints" in line for line in result["losses"])
    converted = read_dataset(tmp_path / "masks", "val")
    assert torch.equal(converted[0].target.label_map, read_dataset(data, "val")[0].target.label_map)
    shown = delineate("convert", data, tmp_path / "coco", "--to", "coco").out
    assert "nothing was lost" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DATA", "x", "--to", "vok"], "did you mean voc?"),
        (["nowhere", "x", "--to", "voc"], "nowhere: there is no such folder"),
        (["DATA", "DATA", "--to", "voc"], "there is something already"),
        (["DATA", "x"], "Missing option '--to'"),
    ],
)
def test_mistakes(delineate: Callable, data: Path, arguments: list[str], message: str) -> None:
    assert message in delineate("convert", *[data if part == "DATA" else part for part in arguments]).mistake


def test_what_cannot_be_read_stops_convert_or_is_skipped(delineate: Callable, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    picture = next((tmp_path / "data").rglob("*.png"))
    picture.write_bytes(b"no picture")
    arguments = ["convert", tmp_path / "data", tmp_path / "new", "--to", "coco"]
    assert "--skip-unreadable passes over" in delineate(*arguments).mistake
    assert "left out 1 picture that cannot be read" in " ".join(delineate(*arguments, "--skip-unreadable").out.split())


def test_pictures_go_into_archives_that_train_reads(delineate: Callable, data: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shown = delineate("convert", data, shards, "--to", "coco", "--shard-size", 2).out
    assert "nothing was lost" in shown
    num = len(read_dataset(data, "train"))
    archives = sorted(path.name for path in (shards / "images" / "train").iterdir())
    assert archives == [f"train-{number:05d}.tar" for number in range(-(-num // 2))]
    quick = ("--width", 4, "--epochs", 1, "--crop-size", 32, 32, "--workers", 0, "--batch-size", 2, "--device", "cpu")
    trained = delineate("train", "segnet_basic", shards, *quick, "--out", tmp_path / "run", "--json").json
    assert 0 <= trained["metrics"]["mIoU"] <= 1
    assert delineate("val", tmp_path / "run", "--workers", 0, "--device", "cpu", "--json").json["num_images"] > 0
    assert "--to coco" in delineate("convert", data, tmp_path / "a", "--to", "voc", "--shard-size", 2).mistake
