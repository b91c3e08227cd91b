import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def test_anchors_of_a_data_set_with_their_fit(delineate: Callable, data: Path) -> None:
    few, many = (delineate("anchors", data, "-k", count, "--image-size", 64, "--json").json for count in (2, 4))
    assert len(few["anchors"]) == 2
    assert len(many["anchors"]) == 4
    areas = [width * height for width, height in many["anchors"]]
    assert areas == sorted(areas)
    assert sum(many["shares"]) == pytest.approx(1)
    assert 0.3 < few["mean_iou"] < many["mean_iou"] <= 1
    assert few["num_objects"] == many["num_objects"] > 10
    shown = delineate("anchors", data, "-k", 4, "--image-size", 64).out
    assert f"mean IoU {many['mean_iou']:.4f} of {many['num_objects']} objects" in shown
    assert f"{many['anchors'][0][0]:.1f}" in shown


def test_twice_the_size_gives_anchors_twice_as_large(delineate: Callable, data: Path) -> None:
    small, large = (delineate("anchors", data, "--image-size", size, "--json").json for size in (64, 128))
    for one, other in zip(small["anchors"], large["anchors"], strict=True):
        assert other == pytest.approx([2 * side for side in one], rel=1e-4)


def test_pictures_that_cannot_be_read_are_left_out_when_asked(delineate: Callable, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    for picture in sorted((tmp_path / "data" / "images" / "train").iterdir())[:2]:
        picture.write_bytes(picture.read_bytes()[:-50])
    assert "2 pictures cannot be read: " in delineate("anchors", tmp_path / "data").mistake
    ended = delineate("anchors", tmp_path / "data", "-k", 2, "--skip-unreadable", "--json")
    assert ended.json["num_objects"] < delineate("anchors", data, "-k", 2, "--json").json["num_objects"]
    assert "left out 2 pictures that cannot be read" in ended.err


def test_more_anchors_than_sizes_are_refused(delineate: Callable, data: Path) -> None:
    assert "different sizes cannot make 500 shapes" in delineate("anchors", data, "-k", 500).mistake
