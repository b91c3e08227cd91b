import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from delineate.cli import predicting
from delineate.data import read_label_map
from delineate.deploy import Predictor, open_video
from delineate.deploy.video import video_file
from delineate.io.sources import expanded, is_video
from delineate.values import InputError


def film(path: Path, count: int = 4) -> Path:
    noise = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8)
    with video_file(path, 10.0) as write:
        for number, image in enumerate(noise):
            write(image, number / 10)
    return path


def lines_of(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_video_becomes_lines_and_a_drawn_video(delineate: Callable, detector: Path, tmp_path: Path) -> None:
    file, out = film(tmp_path / "film.mp4"), tmp_path / "out"
    call = ["predict", detector, file, "--out", out, "--min-score", 0]
    ended = delineate(*call)
    assert ended.code == 0
    assert ended.out.startswith("4 frames in ")
    made_by, *lines = lines_of(out / "film" / "results.jsonl")
    assert made_by["video"] == str(file)
    with open_video(file) as video:
        images = [frame.image for frame in video.frames()]
    expected = Predictor.load(detector, device="cpu")(images, min_score=0.0)
    assert [line["frame"] for line in lines] == [0, 1, 2, 3]
    assert [line["seconds"] for line in lines] == pytest.approx([0, 0.1, 0.2, 0.3])
    for line, detections in zip(lines, expected, strict=True):
        np.testing.assert_allclose(np.array(line["boxes"]), detections.boxes.numpy())
        assert len(line["masks"]) == len(line["boxes"])
    with open_video(out / "film" / "drawn.mp4") as video:
        drawn = list(video.frames())
    assert len(drawn) == 4
    assert drawn[0].image.shape == (3, 384, 384), "small frames are enlarged, so that names can be read"
    document = json.loads((out / "film" / "results.json").read_text())
    assert [row["file_name"] for row in document["images"]] == [f"{file}/{number:06d}" for number in range(4)]
    ended = delineate(*call, "--format", "yolo")
    assert f"{file}: was done before; --again does it anew" in ended.err
    assert sorted(path.name for path in (out / "film" / "labels").iterdir()) == [f"{n:06d}.txt" for n in range(4)]
    assert "min_score was 0.0, now 0.9" in delineate(*call[:-1], 0.9).mistake


def test_identities_are_written_and_drawn(delineate: Callable, detector: Path, tmp_path: Path) -> None:
    file, out = film(tmp_path / "film.mp4"), tmp_path / "out"
    options = ["--out", out, "--min-score", 0.1, "--track", "--no-overlays", "--max-detections", 5]
    assert delineate("predict", detector, file, *options, "--format", "csv").code == 0
    _, *lines = lines_of(out / "film" / "results.jsonl")
    assert all(len(line["tracks"]) == len(line["boxes"]) for line in lines)
    assert set(lines[0]["tracks"]) <= {None}
    rows = (out / "film" / "results.csv").read_text().splitlines()
    assert rows[0] == "file,class,score,x1,y1,x2,y2,track"
    tracks = [("" if track is None else str(track)) for line in lines for track in line["tracks"]]
    assert [row.rpartition(",")[2] for row in rows[1:]] == tracks
    assert any(tracks)
    assert not (out / "film" / "drawn.mp4").exists()


def test_label_maps_of_frames_are_files(delineate: Callable, trained: Path, tmp_path: Path) -> None:
    assert delineate("predict", trained, film(tmp_path / "film.mp4", 2), "--out", tmp_path).code == 0
    document = json.loads((tmp_path / "film" / "results.json").read_text())
    maps = [read_label_map(tmp_path / "film" / row["label_map"]) for row in document["images"]]
    assert [tuple(label_map.shape) for label_map in maps] == [(64, 64)] * 2


def test_a_stream_is_predicted_until_it_ends_or_is_ended(
    delineate: Callable, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.BytesIO()
    for _ in range(4):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)).save(stream, "JPEG")

    def begins() -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stream.getvalue())))

    begins()
    monkeypatch.chdir(tmp_path)  # label maps are written beside the lines
    ended = delineate("predict", trained, "-", "--json")
    assert [json.loads(line)["frame"] for line in ended.out.splitlines()] == [0, 1, 2, 3]
    begins()
    call = ["predict", trained, "-", "--out", tmp_path, "--workers", 0]
    assert delineate(*call).out.startswith("4 frames in ")
    write_frame = predicting._write_frame

    def stopped(work: predicting.Work, frame: object, *where: object) -> object:
        if frame.number == 2:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return write_frame(work, frame, *where)  # type: ignore[arg-type]

    monkeypatch.setattr(predicting, "_write_frame", stopped)
    begins()
    assert delineate(*call).out.startswith("2 frames in ")
    assert len(lines_of(tmp_path / "stream-1" / "results.jsonl")) == 5
    assert len(lines_of(tmp_path / "stream-2" / "results.jsonl")) == 3
    with open_video(tmp_path / "stream-2" / "drawn.mp4") as video:
        assert len(list(video.frames())) == 2
    call = ["predict", trained, film(tmp_path / "film.mp4"), "--out", tmp_path / "no", "--workers", 0]
    assert delineate(*call).code == 130
    assert not (tmp_path / "no" / "film" / "results.jsonl").exists(), "a video that is stopped is not done"


def test_a_broken_video_is_passed_over(delineate: Callable, trained: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    ended = delineate("predict", trained, broken, film(tmp_path / "film.mp4"), "--out", tmp_path / "out")
    assert ended.code == 2
    assert f"{broken}: cannot be opened as a video" in ended.err
    assert ended.out.startswith("4 frames in ")
    assert "cannot be opened as a video" in delineate("predict", trained, broken, "--out", tmp_path / "out").mistake


def test_patterns_and_lists_name_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.mp4", "c.jpg", "[1].png", "deep/d.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert expanded([tmp_path / "*.mp4"]) == [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    assert expanded([tmp_path / "**" / "*.mkv"]) == [tmp_path / "deep" / "d.mkv"]
    assert expanded([tmp_path / "[1].png"]) == [tmp_path / "[1].png"], "what is there is taken as it is"
    (tmp_path / "list.txt").write_text("c.jpg\n\ndeep/d.mkv\n")
    assert expanded([tmp_path / "list.txt"]) == [tmp_path / "c.jpg", tmp_path / "deep" / "d.mkv"]
    assert [is_video(path) for path in map(Path, ("0", "-", "a.mp4", "x.MOV", "c.jpg", "deep"))] == [True] * 4 + [
        False
    ] * 2
    (tmp_path / "0").mkdir()
    assert not is_video(Path("0")), "a folder is no camera"
    (tmp_path / "list.txt").write_text("\n")
    for path, message in (
        ("*.avi", "no file is named so"),
        ("list.txt", "this list is empty"),
        ("e.jpg", "no such pi"),
    ):
        with pytest.raises(InputError, match=message):
            expanded([tmp_path / path])


def test_nothing_to_track_is_said(delineate: Callable, detector: Path, data: Path, tmp_path: Path) -> None:
    pictures = data / "images" / "val"
    assert "there is no video" in delineate("predict", detector, pictures, "--track", "--out", tmp_path).mistake


def test_results_for_cocos_server_have_its_numbers(
    delineate: Callable, detector: Path, data: Path, tmp_path: Path
) -> None:
    pictures = sorted((data / "images" / "val").iterdir())
    whole = json.loads((data / "annotations" / "instances_val.json").read_text())
    names = {row["id"]: row["name"] for row in whole["categories"]}
    for row in (*whole["images"], *whole["categories"]):
        row["id"] += 40
    for row in whole["annotations"]:
        row["image_id"] += 40
        row["category_id"] += 40
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps(whole))
    options = ["--out", tmp_path / "out", "--min-score", 0, "--no-overlays", "--ids", ids]
    assert delineate("predict", detector, *pictures, *options).code == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert all(set(row) == {"image_id", "category_id", "bbox", "segmentation", "score"} for row in results)
    assert {row["image_id"] for row in results} == {row["id"] for row in whole["images"]}
    assert {row["category_id"] - 40 for row in results} <= set(names)
    truth = COCO(str(ids))
    COCOeval(truth, truth.loadRes(results), "segm").evaluate()  # as the server does
    whole["images"] = whole["images"][:1]
    ids.write_text(json.dumps(whole))
    ended = delineate("predict", detector, *pictures, *options)
    assert f"{ids}: the picture {pictures[1].name} is not in it; " in ended.err
    assert len({row["image_id"] for row in json.loads((tmp_path / "out" / "results.json").read_text())}) == 1
    ids.write_text("{}")
    assert "no COCO file with images" in delineate("predict", detector, *pictures, *options).err
    assert "csv has none" in delineate("predict", detector, *pictures, *options, "--format", "csv").mistake
