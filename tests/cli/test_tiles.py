"""Tiles from the command line: in training, measuring and predicting."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_detector_is_trained_on_tiles_and_used_in_tiles(delineate: Callable, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "ssd"
    options = ["--backbone", "resnet10t", "--image-size", 64, "--workers", 0, "--epochs", 1]
    ended = delineate("train", "ssd", data, *options, "--tile", 40, "--out", run)
    assert ended.code == 0, ended.err
    assert (
        "in tiles of 40 pixels, 12 pictures are 108 tiles to train on, and 3 pictures are 27 tiles to validate"
        in ended.err
    )
    assert json.loads((run / "settings.json").read_text())["tile"] == 40
    picture = next((data / "images" / "val").iterdir())
    asked = ("predict", run, picture, "--json", "--workers", 0, "--min-score", 0, "--max-detections", 5)
    whole, tiled = (delineate(*asked, *more).json for more in ((), ("--tile", 40, "--overlap", 16)))
    assert (tiled["height"], tiled["width"]) == (whole["height"], whole["width"])
    assert tiled["boxes"] != whole["boxes"]
    assert len(tiled["boxes"]) > 5, "it is the most of a tile"


def test_what_finds_one_object_takes_no_tiles(delineate: Callable, data: Path, tmp_path: Path) -> None:
    said = delineate("train", "localizer", data, "--backbone", "resnet10t", "--tile", 40, "--out", tmp_path / "run").err
    assert "tile: localizer finds the class and the box of the one object, of which every tile would have one" in said


@pytest.mark.parametrize("overlap", [40, 64])
def test_an_overlap_as_large_as_a_tile_is_refused(
    delineate: Callable, detector: Path, data: Path, overlap: int
) -> None:
    said = delineate("val", detector, data, "--tile", 40, "--overlap", overlap, "--workers", 0).err
    assert f"overlap: {overlap} is not between 0 and the tile's 40 pixels" in said
