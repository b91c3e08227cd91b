import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from delineate.cli.app import run as app

VOC = ["voc2007_mAP", "voc2010_mAP"]


def test_json(delineate: Callable, data: Path, trained: Path) -> None:
    result = delineate("val", trained, data, "--split", "val", "--workers", 0, "--json").json
    assert set(result) == {"metrics", "protocol", "num_images", "skipped", "trained_on", "data", "part"}
    assert next(iter(result["metrics"])) == "mIoU"
    assert all(0 <= value <= 1 for value in result["metrics"].values())
    assert result["num_images"] == 3


def test_table(delineate: Callable, data: Path, trained: Path) -> None:
    result = delineate("val", trained, data, "--split", "val", "--workers", 0, "--json").json
    shown = delineate("val", trained, data, "--split", "val", "--workers", 0).out
    assert f"mIoU {result['metrics']['mIoU']:.4f}" in shown
    assert "triangle" in shown
    assert "3 pictures" in shown


def test_objects_are_measured_by_coco_and_if_asked_by_voc(delineate: Callable, data: Path, detector: Path) -> None:
    result = delineate("val", detector, data, "--workers", 0, "--json").json
    assert list(result["metrics"])[:3] == ["AP", "AP50", "AP75"]
    assert "mask_AP" in result["metrics"]
    assert result["protocol"].startswith("COCO: ")
    assert "VOC" not in result["protocol"]
    both = delineate("val", detector, data, "--workers", 0, "--protocol", "voc", "--json").json
    assert both["metrics"].items() >= result["metrics"].items()
    more = set(both["metrics"]) - set(result["metrics"])
    assert {"voc2007_mAP", "voc2010_mAP", "voc2007_AP/star", "voc2010_AP/star"} <= more
    assert result["protocol"] in both["protocol"]
    assert "PASCAL VOC: " in both["protocol"]


def test_thresholds_are_those_that_are_given(delineate: Callable, data: Path, detector: Path, tmp_path: Path) -> None:
    def metrics(*options: object) -> dict[str, float]:
        return delineate("val", detector, data, "--split", "train", "--workers", 0, *options, "--json").json["metrics"]

    own = metrics("--min-score", 0.05)
    assert own == metrics()
    assert metrics("--min-score", 1)["AR100"] == 0 < own["AR100"]
    assert metrics("--max-detections", 1)["AR100"] < own["AR100"]
    assert metrics("--class-agnostic", "--nms-iou", 0) != metrics("--nms-iou", 0)
    assert metrics("--tile", 40, "--overlap", 16)["AR100"] != own["AR100"]
    assert "AR150" in metrics("--max-detections", 150)
    page = tmp_path / "report.html"
    metrics("--min-score", 0.25, "--nms-iou", 0.75, "--report", page)
    assert "--min-score 0.25 --nms-iou 0.75 --report" in page.read_text()


def test_tables_of_objects(delineate: Callable, data: Path, detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = delineate("val", detector, data, "--workers", 0, "--protocol", "voc").out.splitlines()
    [classes] = [line for line in shown if line.startswith(" class")]
    assert classes.split() == ["class", "AP", "mask_AP", "voc2007_AP", "voc2010_AP"]
    [shapes] = [line for line in shown if line.split() == ["boxes", "masks"]]
    assert shown[shown.index(shapes) + 2].split()[0] == "AP"
    [headline] = [line for line in shown if line.startswith("AP ")]
    assert headline.split()[::2] == ["AP", "AP50", "AP75", "mask_AP", "mask_AP50", "mask_AP75", *VOC]


def test_a_report_of_a_detector(delineate: Callable, data: Path, detector: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.html"
    result = delineate("val", detector, data, "--workers", 0, "--report", file, "--json").json
    assert result["report"] == str(file)
    page = file.read_text()
    for heading in (
        "Pictures",
        "Metrics",
        "Classes",
        "Detection",
        "Most disagreement",
        "Confusion matrix",
        "What was run",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert "mask_rcnn, backbone resnet10t" in page
    assert "missed" in page
    assert "Taken from a score of " in page
    assert "or a label may be missing" in page
    assert "best F1" in page
    assert f"--report {file}" in page
    assert page.count("data:image/jpeg") >= 2
    shown = delineate("val", detector, data, "--workers", 0, "--report", file).out
    assert shown.splitlines()[-1] == f"open {file}"


def test_a_report_of_a_dense_system(delineate: Callable, data: Path, trained: Path, tmp_path: Path) -> None:
    assert delineate("val", trained, data, "--workers", 0, "--report", tmp_path / "report.html").code == 0
    page = (tmp_path / "report.html").read_text()
    for heading in ("Pictures", "Training", "Classes", "Confusion matrix"):
        assert f"<h2>{heading}</h2>" in page
    assert "pictures seen in 1 epoch" in page
    for heading in ("Metrics", "Detection", "Most disagreement"):
        assert f"<h2>{heading}</h2>" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "DATA", "--split", "test"], "no split 'test'; there are: train, val"),
        (["DATA", "DATA"], "looked for best.safetensors"),
        (["nowhere", "DATA"], "nowhere"),
        (["RUN", "nowhere"], "nowhere: there is no such folder"),
        (["RUN", "DATA", "--format", "cocoo"], "did you mean coco?"),
        (["RUN", "DATA", "--device", "tpu"], "'tpu' is not one of"),
        (
            ["RUN", "DATA", "--protocol", "voc"],
            "protocol: voc measures detections, and segnet_basic finds the class of every pixel",
        ),
        (["RUN", "DATA", "--min-score", "0.5"], "score: segnet_basic finds the class of every pixel, without scores"),
        (["RUN", "DATA", "--report", "report.pdf"], "report.pdf does not end with .html"),
        (["RUN", "DATA", "--report", "DATA"], "is a folder; name a file"),
        (["RUN", "--format", "coco"], "format: the run knows that of its own data"),
    ],
)
def test_mistakes(delineate: Callable, data: Path, trained: Path, arguments: list[str], message: str) -> None:
    paths = {"RUN": trained, "DATA": data}
    assert message in delineate("val", *[paths.get(part, part) for part in arguments]).mistake


@pytest.fixture(scope="module")
def held_out(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that held out two of the twelve pictures of its data, which have no split val."""
    folder = tmp_path_factory.mktemp("held")
    shutil.copytree(data, folder / "data")
    for file in folder.glob("data/annotations/*val.json"):
        file.unlink()
    budget = ["--epochs", "1", "--workers", "0", "--crop-size", "48", "48"]
    assert (
        app(["train", "segnet_basic", str(folder / "data"), "--width", "4", "--out", str(folder / "run"), *budget]) == 0
    )
    return folder / "run"


def test_without_data_the_split_of_the_run_is_measured(delineate: Callable, data: Path, trained: Path) -> None:
    own = delineate("val", trained, "--workers", 0, "--json").json
    assert own["metrics"] == delineate("val", trained, data, "--workers", 0, "--json").json["metrics"]
    assert own["part"] == "split val"
    assert delineate("val", trained, "--split", "train", "--workers", 0, "--json").json["num_images"] == 12


def test_without_data_what_the_run_held_out_is_measured(delineate: Callable, held_out: Path, tmp_path: Path) -> None:
    comment, *lines = (held_out / "held_out.txt").read_text().splitlines()
    assert comment == f"# held out of 'train' in {held_out.parent / 'data'}"
    assert len(lines) == 2
    report = tmp_path / "report.html"
    result = delineate("val", held_out, "--workers", 0, "--report", report, "--json").json
    assert (result["num_images"], result["part"]) == (2, "held out of split train")
    assert f"delineate val {held_out} --protocol coco" in report.read_text()
    learned = delineate("val", held_out, "--split", "train", "--workers", 0, "--json").json
    assert (learned["num_images"], learned["part"]) == (10, "split train without what was held out")
    assert delineate("val", held_out, held_out.parent / "data", "--workers", 0, "--json").json["num_images"] == 2


def test_pictures_that_a_run_was_trained_on_are_counted(
    delineate: Callable, data: Path, held_out: Path, tmp_path: Path
) -> None:
    """They are known in the run's own data, in a copy of these, and where an earlier version wrote no list."""
    own, run = held_out.parent / "data", tmp_path / "run"
    shutil.copytree(own, tmp_path / "copy")
    shutil.copytree(held_out, run)
    (run / "trained_on.txt").unlink()
    line = "split train: 10 of 12 pictures were trained on, so that what is measured is better than on new pictures"
    for measured, of in ((held_out, own), (held_out, tmp_path / "copy"), (run, own)):
        ended = delineate("val", measured, of, "--split", "train", "--workers", 0, "--json")
        assert (ended.json["num_images"], ended.json["trained_on"]) == (12, 10)
        assert f"{line}; `delineate val {measured}` measures what was held out" in ended.err.splitlines()
    shown = delineate("val", held_out, own, "--split", "train", "--workers", 0)
    assert "12 pictures, 10 of them trained on" in shown.out
    ended = delineate("val", held_out, "--split", "train", "--workers", 0, "--json")
    assert (ended.json["num_images"], ended.json["trained_on"]) == (10, 10)
    for arguments in ((held_out,), (held_out, data)):
        ended = delineate("val", *arguments, "--workers", 0, "--json")
        assert ended.json["trained_on"] == 0
        assert "trained on" not in ended.err


def test_what_was_held_out_is_found_after_the_data_were_divided(
    delineate: Callable, held_out: Path, tmp_path: Path
) -> None:
    shutil.copytree(held_out.parent, tmp_path / "all")
    own, run = tmp_path / "all" / "data", tmp_path / "all" / "run"
    settings = (run / "settings.json").read_text()
    (run / "settings.json").write_text(settings.replace(str(held_out.parent / "data"), str(own)))
    ended = delineate("split", own, "--val", 0.4, "--test", 0.4)
    assert "a run that was trained before may know pictures of any part" in ended.err
    for arguments in ((run,), (run, own)):
        ended = delineate("val", *arguments, "--workers", 0, "--json")
        assert (ended.json["num_images"], ended.json["part"]) == (2, "held out of split train")
        assert ended.json["trained_on"] == 0
    known = [
        delineate("val", run, own, "--split", split, "--workers", 0, "--json").json["trained_on"]
        for split in ("train", "val", "test")
    ]
    assert sum(known) == 10


def test_what_changed_since_the_training_is_said(delineate: Callable, held_out: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(held_out, run)
    with (run / "held_out.txt").open("a") as opened:
        opened.write("images/train/gone.png\n")
    line = delineate("val", run).mistake
    assert "held_out.txt: line 4: images/train/gone.png is no picture of the data any more; put it back" in line
    settings = (run / "settings.json").read_text()
    (run / "settings.json").write_text(settings.replace(str(held_out.parent / "data"), str(tmp_path / "moved")))
    assert f"its own data, {tmp_path / 'moved'}, are not there any more; name DATA" in delineate("val", run).mistake
    (run / "settings.json").unlink()
    assert "no settings.json beside the weights" in delineate("val", run).mistake


def test_pictures_that_cannot_be_read_are_left_out_when_asked(
    delineate: Callable, data: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "data")
    broken = sorted((tmp_path / "data" / "images" / "val").iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:100])
    line = delineate("val", trained, tmp_path / "data", "--workers", 0).err.splitlines()[-1]
    assert str(broken) in line
    assert "--skip-unreadable" in line
    report = tmp_path / "report.html"
    ended = delineate(
        "val", trained, tmp_path / "data", "--workers", 0, "--skip-unreadable", "--report", report, "--json"
    )
    assert (ended.json["num_images"], ended.json["skipped"]) == (2, 1)
    assert "1 picture that cannot be read" in ended.err
    assert "2 pictures, 1 that cannot be read left out" in report.read_text()
    assert "--skip-unreadable --protocol" in report.read_text()


def test_class_names_that_differ(delineate: Callable, mask_folder: Path, trained: Path) -> None:
    line = delineate("val", trained, mask_folder, "--split", "train").mistake
    assert "'disk'" in line
    assert "'cat'" in line
