from collections.abc import Callable
from pathlib import Path

import pytest

VOC = ["voc2007_mAP", "voc2010_mAP"]


def test_json(delineate: Callable, data: Path, trained: Path) -> None:
    result = delineate("val", trained, data, "--split", "val", "--workers", 0, "--json").json
    assert set(result) == {"metrics", "protocol", "num_images"}
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
        "Worst pictures",
        "Confusion matrix",
        "What was run",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert "mask_rcnn, backbone resnet10t" in page
    assert "missed" in page
    assert f"--report {file}" in page
    assert page.count("data:image/jpeg") >= 2
    shown = delineate("val", detector, data, "--workers", 0, "--report", file).out
    assert shown.splitlines()[-1] == f"open {file}"


def test_a_report_of_a_dense_system(delineate: Callable, data: Path, trained: Path, tmp_path: Path) -> None:
    assert delineate("val", trained, data, "--workers", 0, "--report", tmp_path / "report.html").code == 0
    page = (tmp_path / "report.html").read_text()
    for heading in ("Pictures", "Training", "Classes", "Confusion matrix"):
        assert f"<h2>{heading}</h2>" in page
    for heading in ("Metrics", "Detection", "Worst pictures"):
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
    ],
)
def test_mistakes(delineate: Callable, data: Path, trained: Path, arguments: list[str], message: str) -> None:
    paths = {"RUN": trained, "DATA": data}
    assert message in delineate("val", *[paths.get(part, part) for part in arguments]).mistake


def test_class_names_that_differ(delineate: Callable, mask_folder: Path, trained: Path) -> None:
    line = delineate("val", trained, mask_folder, "--split", "train").mistake
    assert "'disk'" in line
    assert "'cat'" in line
