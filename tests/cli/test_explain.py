import json
from collections.abc import Callable
from pathlib import Path


def test_a_page_of_a_runs_picture(delineate: Callable, data: Path, trained: Path, tmp_path: Path) -> None:
    picture = next((data / "images" / "val").iterdir())
    page = tmp_path / "page.html"
    ended = delineate("explain", trained, picture, "--out", page, "--json")
    assert ended.json["stages"][0] == "The picture"
    assert f"segnet_basic on {picture.name}" in page.read_text()
    shown = delineate("explain", trained, picture, "--out", page).out
    assert shown.startswith("1 The picture  64 x 64 pixels.")
    assert f"open {page}" in shown


def test_a_localizer_shows_how_its_boxes_moved(delineate: Callable, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--backbone", "resnet10t", "--image-size", 64, "--width", 8, "--hidden", 8, "--workers", 0]
    ended = delineate("train", "localizer", data, *options, "--epochs", 2, "--out", run)
    assert "pictures hold several objects, of which the largest is learned" in ended.err
    assert {file.name for file in (run / "regression").iterdir()} == {*("regression.json", "1.jpg", "2.jpg", "3.jpg")}
    rows = json.loads((run / "regression" / "regression.json").read_text())
    truths = [answer["truth"] for answer in rows[0]["pictures"]]
    assert [len(truth.get("box", ())) for truth in truths] == [4, 4, 0], "the last has no object that counts"
    picture = next((data / "images" / "val").iterdir())
    stages = delineate("explain", run, picture, "--out", tmp_path / "page.html", "--json").json["stages"]
    assert stages == ["The picture", "What the heads see", "Class and box", "The regression over training"]
    assert delineate("val", run, data, "--json").json["metrics"]["accuracy"] >= 0


def test_another_suffix_is_refused(delineate: Callable, trained: Path, data: Path, tmp_path: Path) -> None:
    picture = next((data / "images" / "val").iterdir())
    wrong = delineate("explain", trained, picture, "--out", tmp_path / "page.pdf").mistake
    assert wrong.endswith("does not end with .html, which is what is written")
