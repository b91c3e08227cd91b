import errno
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from delineate.cli.predicting import result_names
from delineate.data import read_image, read_label_map
from delineate.deploy import Predictor
from delineate.deploy.results import Results
from delineate.viz import write_picture
from delineate.viz.scaling import READABLE


@pytest.fixture
def pictures(data: Path) -> Path:
    return data / "images" / "val"


def test_json_lines(delineate: Callable, trained: Path, pictures: Path, tmp_path: Path) -> None:
    ended = delineate("predict", trained, pictures, "--out", tmp_path, "--json")
    records = [json.loads(line) for line in ended.out.splitlines()]
    assert [record["file"] for record in records] == [str(path) for path in sorted(pictures.iterdir())]
    predictor = Predictor.load(trained, device="cpu")
    for record in records:
        assert set(record) == {"file", "height", "width", "label_map", "shares"}
        assert sum(record["shares"].values()) == pytest.approx(1)
        label_map = read_label_map(Path(record["label_map"]))
        assert label_map.shape == (record["height"], record["width"])
        assert torch.equal(label_map, predictor(record["file"])[0].label_map)
    assert not (tmp_path / "overlays").exists()


def test_overlays_and_a_summary(delineate: Callable, trained: Path, pictures: Path, tmp_path: Path) -> None:
    ended = delineate("predict", trained, pictures, "--out", tmp_path / "out")
    assert ended.code == 0
    assert ended.out.startswith("3 pictures in ")
    assert str(tmp_path / "out") in ended.out
    for picture in pictures.iterdir():
        overlay = read_image(tmp_path / "out" / "overlays" / f"{picture.stem}.jpg")
        assert read_image(picture).shape == (3, 64, 64)
        assert overlay.shape == (3, 384, 384), "small pictures are enlarged, so that names can be read"


def test_results_of_objects_are_files_and_called_again_it_goes_on(
    delineate: Callable, detector: Path, pictures: Path, tmp_path: Path
) -> None:
    first, *others = sorted(pictures.iterdir())
    options = ["--out", tmp_path, "--min-score", 0, "--no-overlays"]
    assert delineate("predict", detector, first, *options).code == 0
    found = {
        line["name"]: line
        for line in map(json.loads, (tmp_path / "results.jsonl").read_text().splitlines())
        if "name" in line
    }
    assert set(found) == {first.stem}
    ended = delineate("predict", detector, pictures, *options, "--batch-size", 2)
    assert "1 of 3 pictures were done before; --again does them anew" in ended.err
    assert ended.out.startswith("2 pictures in ")
    document = json.loads((tmp_path / "results.json").read_text())
    assert [row["file_name"] for row in document["images"]] == [file.name for file in (first, *others)]
    assert {row["image_id"] for row in document["annotations"]} == {1, 2, 3}
    assert all({"bbox", "score", "segmentation"} <= set(row) for row in document["annotations"])
    assert not (tmp_path / "overlays").exists()
    for layout, file in (("yolo", f"labels/{first.stem}.txt"), ("voc", f"Annotations/{first.stem}.xml")):
        assert delineate("predict", detector, pictures, *options, "--format", layout).out.startswith("0 pictures in")
        assert (tmp_path / file).is_file()
    otherwise = ["predict", detector, pictures, "--out", tmp_path, "--min-score", 0.1, "--format", "csv"]
    assert "min_score was 0.0, now 0.1" in delineate(*otherwise).mistake
    assert delineate(*otherwise, "--again").out.startswith("3 pictures in ")
    assert (tmp_path / "results.csv").read_text().startswith("file,class,score,x1,y1,x2,y2\n")


def test_lines_come_in_order_once_the_files_of_their_picture_are_whole(
    delineate: Callable, trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = names = [path.stem for path in sorted(pictures.iterdir())]

    def slow_at_first(file: Path, image: Tensor) -> None:
        time.sleep(0.3 if file.stem == first else 0)
        write_picture(file, image)

    def add(self: Results, path: Path, name: Path, below: Path, record: dict[str, Any]) -> None:
        added.append(str(name))
        assert read_label_map(tmp_path / "label_maps" / f"{name}.png").shape == (64, 64)
        assert read_image(tmp_path / "overlays" / f"{name}.jpg").shape == (3, 384, 384)

    added: list[str] = []
    monkeypatch.setattr("delineate.viz.write_picture", slow_at_first)
    monkeypatch.setattr(Results, "add", add)
    assert delineate("predict", trained, pictures, "--out", tmp_path, "--workers", 2).code == 0
    assert added == names


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failure_behind_the_network_ends_the_command_and_it_goes_on_later(
    delineate: Callable, trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    second = sorted(pictures.iterdir())[1].stem
    before = threading.active_count()

    def full(file: Path, image: Tensor) -> None:
        if file.stem == second:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        write_picture(file, image)

    call = ["predict", trained, pictures, "--out", tmp_path, "--workers", workers]
    with monkeypatch.context() as patched:
        patched.setattr("delineate.viz.write_picture", full)
        assert delineate(*call).mistake == f"{tmp_path}/overlays/{second}.jpg: No space left on device"
    assert threading.active_count() == before
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2, "what made them, and the first picture"
    ended = delineate(*call)
    assert "1 of 3 pictures were done before" in ended.err
    assert len(json.loads((tmp_path / "results.json").read_text())["images"]) == 3


def test_ctrl_c_ends_all_threads_and_keeps_what_is_done(
    delineate: Callable, trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count()
    add = Results.add

    def interrupted(self: Results, *arguments: Any) -> None:
        add(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Results, "add", interrupted)
        assert delineate("predict", trained, pictures, "--out", tmp_path, "--workers", 2).code == 130
    assert threading.active_count() == before
    assert "1 of 3 pictures were done before" in delineate("predict", trained, pictures, "--out", tmp_path).err


def test_results_of_label_maps_name_them(delineate: Callable, trained: Path, pictures: Path, tmp_path: Path) -> None:
    assert delineate("predict", trained, pictures, "--out", tmp_path, "--no-overlays").code == 0
    document = json.loads((tmp_path / "results.json").read_text())
    assert len(document["images"]) == 3
    assert all((tmp_path / row["label_map"]).is_file() for row in document["images"])
    refused = delineate("predict", trained, pictures, "--out", tmp_path, "--format", "yolo").mistake
    assert refused.startswith("format: yolo holds objects, and this system finds the class of every pixel")


def test_tiles_change_nothing_when_the_picture_is_smaller(
    delineate: Callable, trained: Path, pictures: Path, tmp_path: Path
) -> None:
    whole = delineate("predict", trained, pictures, "--out", tmp_path, "--json")
    tiled = delineate("predict", trained, pictures, "--out", tmp_path, "--json", "--tile", 64, "--overlap", 16)
    assert tiled.code == 0
    assert tiled.out == whole.out
    assert delineate("predict", trained, pictures, "--out", tmp_path, "--json", "--tile", 32).mistake.startswith(
        "overlap"
    )


def test_unreadable_pictures_are_said_and_passed_over(
    delineate: Callable, trained: Path, pictures: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(next(pictures.iterdir()).read_bytes()[:500])
    ended = delineate("predict", trained, cut, tmp_path / "missing.png", pictures, "--out", tmp_path / "out", "--json")
    assert ended.code == 2
    assert len(ended.out.splitlines()) == 3
    first, second = ended.err.splitlines()
    assert "cut.png" in first
    assert "missing.png" in second


def test_objects_as_json(delineate: Callable, detector: Path, pictures: Path, tmp_path: Path) -> None:
    everything = delineate("predict", detector, pictures, "--out", tmp_path, "--json", "--min-score", 0)
    records = [json.loads(line) for line in everything.out.splitlines()]
    assert len(records) == 3
    scores = [score for record in records for score in record["scores"]]
    limit = sorted(scores)[len(scores) // 2]
    likely = delineate("predict", detector, pictures, "--out", tmp_path, "--json", "--min-score", limit)
    for record, line in zip(records, likely.out.splitlines(), strict=True):
        assert set(record) == {"file", "height", "width", "boxes", "labels", "scores", "masks"}
        count = sum(score >= limit for score in record["scores"])
        kept = json.loads(line)
        for field in ("boxes", "labels", "scores", "masks"):
            assert kept[field] == record[field][:count]
    unlikely = [json.loads(line) for line in delineate("predict", detector, pictures, "--json").out.splitlines()]
    assert all(score >= 0.5 for record in unlikely for score in record["scores"])
    assert not (tmp_path / "overlays").exists()


def test_thresholds_change_what_is_found(delineate: Callable, decided: Path, pictures: Path) -> None:
    def scores(*options: object) -> list[list[float]]:
        ended = delineate("predict", decided, pictures, "--json", *options)
        return [json.loads(line)["scores"] for line in ended.out.splitlines()]

    many = scores("--min-score", 0.01, "--max-detections", 1000)
    assert all(0.01 <= min(each) < 0.05 for each in many), "below what the system has by itself"
    assert all(min(each) > 0.05 for each in scores("--min-score", 0.05, "--max-detections", 1000))
    apart = scores("--min-score", 0.01, "--max-detections", 1000, "--nms-iou", 0)
    assert all(len(few) < len(each) for few, each in zip(apart, many, strict=True))
    assert all(len(each) == 5 for each in scores("--min-score", 0.05, "--max-detections", 5))
    assert all(len(each) == 1 for each in scores("--min-score", 0.05, "--max-candidates", 1))


def test_objects_are_drawn(delineate: Callable, detector: Path, pictures: Path, tmp_path: Path) -> None:
    files = sorted(pictures.iterdir())
    for name, score in (("all", 0), ("none", 1)):
        assert delineate("predict", detector, pictures, "--out", tmp_path / name, "--min-score", score).code == 0
    for file in files:
        found, nothing = (read_image(tmp_path / name / "overlays" / f"{file.stem}.jpg") for name in ("all", "none"))
        picture = read_image(file)
        factor = READABLE // picture.shape[1]
        picture = picture.repeat_interleave(factor, 1).repeat_interleave(factor, 2)  # it is small, and enlarged
        assert found.shape == picture.shape
        assert (nothing.int() - picture.int()).abs().float().mean() < 4, "JPEG's noise"
        assert (found.int() - picture.int()).abs().float().mean() > 4
    assert not (tmp_path / "all" / "label_maps").exists()


@pytest.mark.parametrize("system", ["dense", "detector"])
def test_overlays_of_very_large_pictures_are_reduced(
    delineate: Callable,
    trained: Path,
    detector: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
) -> None:
    monkeypatch.setattr("delineate.cli.predicting.MAX_OVERLAY", 30)
    run = trained if system == "dense" else detector
    assert delineate("predict", run, pictures, "--out", tmp_path).code == 0
    shapes = {tuple(read_image(file).shape) for file in (tmp_path / "overlays").iterdir()}
    assert shapes == {(3, 22, 22)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DATA", "DATA"], "looked for best.safetensors"),
        (["nowhere", "DATA"], "nowhere: no such run"),
        (["RUN"], "Missing argument 'PATHS...'"),
        (["RUN", "EMPTY"], "no pictures in this folder"),
        (
            ["RUN", "DATA", "--min-score", "0.5"],
            "score: segnet_basic finds the class of every pixel, without scores; leave it out",
        ),
        (["RUN", "DATA", "--min-score", "2"], "Invalid value for '--min-score'"),
        (["DETECTOR", "DATA", "--json", "--format", "csv"], "format: with --json results are printed, not kept"),
        (["DETECTOR", "DATA", "--tile", "64"], "overlap: 64 is not between 0 and the tile's 64 pixels"),
    ],
)
def test_mistakes(
    delineate: Callable,
    data: Path,
    trained: Path,
    detector: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    paths = {"RUN": trained, "DETECTOR": detector, "DATA": data, "EMPTY": tmp_path}
    assert message in delineate("predict", *[paths.get(part, part) for part in arguments]).mistake


def test_names_of_results_keep_folders_and_never_clash(tmp_path: Path) -> None:
    files = [
        tmp_path / "photos" / "deep" / "a.png",
        tmp_path / "photos" / "a.jpg",
        tmp_path / "a.png",
        tmp_path / "a.bmp",
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(file)
    names = result_names([tmp_path / "photos", *files[2:]], files)
    assert [str(names[str(file)]) for file in files] == ["deep/a", "a", "a-2", "a-3"]
    later = result_names([tmp_path / "photos", *files[2:]], files[1:2], taken=["a", "a-2"])
    assert [str(name) for name in later.values()] == ["a-3"], "names of earlier results are not taken again"


def test_a_pose_regressor_behind_a_detector(delineate: Callable, data: Path, detector: Path, tmp_path: Path) -> None:
    options = ["--backbone", "resnet10t", "--image-size", 64, "--width", 8, "--hidden", 8, "--workers", 0]
    options += ["--val-split", "train"]  # the other split has no body
    run, pictures = tmp_path / "pose", data / "images" / "train"
    ended = delineate("train", "pose_regressor", data, *options, "--epochs", 1, "--out", run)
    assert "annotated bodies, each learned from its own crop" in ended.err
    assert set(delineate("val", run, data, "--split", "train", "--json").json["metrics"]) >= {"PCK@0.2", "OKS"}
    alone = delineate("predict", run, pictures, "--out", tmp_path / "alone", "--json")
    assert all(len(json.loads(line)["keypoints"]) == 1 for line in alone.out.splitlines())
    everyone = ["predict", run, pictures, "--detector", detector, "--min-score", 0, "--out", tmp_path / "all", "--json"]
    records = [json.loads(line) for line in delineate(*everyone).out.splitlines()]
    assert {name for record in records for name in record["labels"]} <= {"figure"}
    assert sum(len(record["keypoints"]) for record in records) > 3
    wrong = ["predict", detector, pictures, "--detector", detector, "--out", tmp_path]
    assert delineate(*wrong).mistake.startswith("detector: only a pose regressor looks at what another run detects")
