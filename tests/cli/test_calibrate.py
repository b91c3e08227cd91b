import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def run(detector: Path, tmp_path: Path) -> Path:
    shutil.copytree(detector, tmp_path / "run")
    return tmp_path / "run"


def test_points_are_printed_kept_and_drawn(delineate: Callable, run: Path, data: Path) -> None:
    ended = delineate("calibrate", run, data, "--split", "train", "--workers", 0)
    assert "chosen for f1 on" in ended.out
    kept = json.loads((run / "operating_points.json").read_text())
    result = delineate("calibrate", run, data, "--split", "train", "--workers", 0, "--for", "recall=0.5", "--json").json
    assert (kept["aim"], result["aim"]) == ("f1", "recall=0.5")
    assert set(result["classes"]) == set(kept["classes"])
    assert all(0 <= point["score"]["value"] <= 1 for point in result["classes"].values())
    with Image.open(result["picture"]) as picture:
        assert picture.width > 500


def test_commands_take_the_points_and_say_so(
    delineate: Callable, run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delineate("calibrate", run, data, "--split", "train", "--workers", 0)
    picture = next((data / "images" / "val").iterdir())
    line = "calibrated for f1 on"

    def said(*words: object) -> str:
        return delineate(*words).err

    predict = ("predict", run, picture, "--out", tmp_path / "p", "--workers", 0)
    assert line in said(*predict)
    assert "made otherwise" in said(*predict, "--min-score", 0.5)
    assert line not in said(*predict, "--min-score", 0.5, "--again")
    assert line in said("explain", run, picture, "--out", tmp_path / "e.html")
    assert line in said("val", run, data, "--workers", 0, "--report", tmp_path / "r.html")
    assert line in (tmp_path / "r.html").read_text()
    assert "weights" not in said("val", run, data, "--workers", 0, "--report", tmp_path / "s.html", "--min-score", 0.5)
    delineate("calibrate", run, data, "--split", "train", "--workers", 0, "--for", "recall=0.5")
    assert "operating_points was" in said(*predict)
    assert "it is of other weights, and not used" in said(*predict, "--again", "--weights", "last") or (
        (run / "last.safetensors").read_bytes() == (run / "best.safetensors").read_bytes()
    )


def test_points_of_other_weights_are_not_used(delineate: Callable, run: Path, data: Path, tmp_path: Path) -> None:
    delineate("calibrate", run, data, "--split", "train", "--workers", 0)
    file = run / "operating_points.json"
    file.write_text(file.read_text().replace(json.loads(file.read_text())["weights"], "0" * 64))
    picture = next((data / "images" / "val").iterdir())
    ended = delineate("predict", run, picture, "--json", "--workers", 0)
    assert "it is of other weights, and not used; `delineate calibrate" in ended.err
    assert all(score >= 0.5 for score in ended.json["scores"])


def test_shares_are_asked_for(delineate: Callable, run: Path, data: Path) -> None:
    picture = next((data / "images" / "val").iterdir())
    asked = ("predict", run, picture, "--json", "--workers", 0, "--calibrate-scores")
    assert delineate(*asked).mistake.startswith("calibrate_scores: what scores mean was not measured")
    delineate("calibrate", run, data, "--split", "train", "--workers", 0, "--for", "recall=1")
    shares = delineate(*asked, "--min-score", 0).json["scores"]
    kept = json.loads((run / "operating_points.json").read_text())
    known = [curve["shares"] for curve in (*kept["reliability"].values(), kept["reliability_of_all"])]
    assert shares
    assert all(any(min(curve) <= share <= max(curve) for curve in known) for share in shares)


def test_what_was_trained_on_is_said(delineate: Callable, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "ssd"
    options = ["--backbone", "resnet10t", "--image-size", 64, "--workers", 0, "--epochs", 1]
    assert delineate("train", "ssd", data, *options, "--out", out).code == 0
    ended = delineate("calibrate", out, data, "--split", "train", "--workers", 0, "--json")
    assert ended.json["trained_on"] == ended.json["num_pictures"] > 0
    assert "were trained on, so that what is measured is better than on new pictures" in ended.err
    assert "of them trained on" in delineate("predict", out, data / "images" / "val", "--json", "--workers", 0).err


def test_systems_without_scores_are_refused(delineate: Callable, trained: Path, data: Path) -> None:
    mistake = delineate("calibrate", trained, data, "--workers", 0).mistake
    assert mistake.startswith("calibrate: segnet_basic finds the class of every pixel, without scores")


def test_objects_that_are_found_otherwise_are_said_to_be(
    delineate: Callable, run: Path, data: Path, tmp_path: Path
) -> None:
    way = ("--tile", 48, "--overlap", 16, "--nms-iou", 0.4, "--class-agnostic")
    calibrate = ("calibrate", run, data, "--split", "train", "--workers", 0)
    assert delineate(*calibrate, *way).code == 0
    kept = json.loads((run / "operating_points.json").read_text())
    assert kept["found_by"] == {"nms_iou": 0.4, "class_agnostic": True, "tile": 48, "overlap": 16}
    predict = ("predict", run, next((data / "images" / "val").iterdir()), "--json", "--workers", 0)
    assert "these scores were" not in delineate(*predict, *way).err
    line = "found with --nms-iou 0.4 --class-agnostic --tile 48 --overlap 16, and objects are found as the run finds"
    assert line in delineate(*predict).err
    assert line in delineate(*predict, "--min-score", 0.1, "--calibrate-scores").err
    assert line not in delineate(*predict, "--min-score", 0.1).err
    report = ("val", run, data, "--workers", 0, "--report", tmp_path / "r.html")
    assert line in delineate(*report).err
    assert delineate(*calibrate).code == 0
    assert json.loads((run / "operating_points.json").read_text())["classes"] != kept["classes"]
    assert "these scores were" not in delineate(*predict).err
    assert "these scores were" not in delineate(*predict, "--nms-iou", 0.5).err  # as it does anyway
    tiled = delineate(*predict, "--tile", 48, "--overlap", 16)
    assert tiled.code == 0
    assert "and objects are found with --tile 48 --overlap 16" in tiled.err
