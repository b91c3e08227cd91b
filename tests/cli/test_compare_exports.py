"""An export stands in for its run: it is measured, and compared, and where its graph does not do, the run is named."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest
import torch
from starlette.testclient import TestClient

from delineate.artefact import load_system
from delineate.cli.app import run as app
from delineate.export.exporting import export_run
from delineate.serve import ServedModels, make_app
from delineate.study.explain import explain
from delineate.values import InputError

TINY = ["--backbone", "resnet10t", "--image-size", "64", "--workers", "0", "--batch-size", "4"]


@pytest.fixture(scope="module")
def ssd(data: Path) -> Path:
    folder = data.parent / "ssd"
    assert app(["train", "ssd", str(data), *TINY, "--epochs", "1", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def export(ssd: Path) -> Path:
    jaxtyping.config.update("jaxtyping_disable", True)  # shapes are symbols while a graph is traced
    folder, _ = export_run(ssd, to="onnx", say=lambda line: None)
    jaxtyping.config.update("jaxtyping_disable", False)
    return folder


def test_val_measures_an_export_as_its_run(delineate: Callable, data: Path, ssd: Path, export: Path) -> None:
    expected = delineate("val", ssd, "--workers", 0, "--json").json
    for given in ([], [data]):
        result = delineate("val", export, *given, "--workers", 0, "--json").json
        assert result["metrics"] == pytest.approx(expected["metrics"], abs=1e-3, nan_ok=True)
        assert (result["num_images"], result["part"]) == (3, "split val")


def test_predict_finds_with_an_export_what_it_finds_with_its_run(
    delineate: Callable, data: Path, ssd: Path, export: Path, tmp_path: Path
) -> None:
    options = [data / "images" / "val", "--min-score", 0.05, "--out", tmp_path, "--json"]
    expected, found = (
        [json.loads(line) for line in delineate("predict", one, *options).out.splitlines()] for one in (ssd, export)
    )
    assert len(found) == 3
    for one, other in zip(found, expected, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-3)
        assert len(one["scores"]) > 0
        assert one["file"] == other["file"]


def test_an_export_is_served(data: Path, ssd: Path, export: Path) -> None:
    models = ServedModels({"export": export, "run": ssd}, device="cpu")
    picture = next((data / "images" / "val").iterdir()).read_bytes()
    with TestClient(make_app(models), base_url="http://localhost") as client:
        assert client.get("/v2/models/export").json()["platform"] == "delineate_export"
        found, expected = (
            client.post(f"/v2/models/{name}/predict", params={"min_score": 0.05}, content=picture).json()
            for name in ("export", "run")
        )
    assert len(found["scores"]) > 0
    assert found["scores"] == pytest.approx(expected["scores"], abs=1e-3)


def test_an_export_is_not_explained_from_python_either(export: Path) -> None:
    with pytest.raises(InputError, match=r"^explain: the graph of an export cannot be looked into; explain the run"):
        explain(load_system(export), torch.zeros(3, 64, 64, dtype=torch.uint8))


def test_a_report_says_that_it_is_of_an_export(delineate: Callable, ssd: Path, export: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    delineate("val", export, "--workers", 0, "--report", report)
    page = report.read_text()
    assert f"ONNX, fp32, in {export}" in page
    assert str(ssd / "best.safetensors") in page
    assert "<h2>Training</h2>" in page, "the curves are those of its run"
    assert f"delineate val {export} --protocol coco" in page


def test_an_export_does_without_its_run(delineate: Callable, data: Path, export: Path, tmp_path: Path) -> None:
    shutil.copytree(export, tmp_path / "alone")
    record = tmp_path / "alone" / "system.json"
    facts = json.loads(record.read_text())
    record.write_text(json.dumps({**facts, "run": str(tmp_path / "gone" / "best.safetensors")}))
    report = tmp_path / "report.html"
    assert delineate("val", tmp_path / "alone", data, "--workers", 0, "--report", report).code == 0
    assert f"ONNX, fp32, in {tmp_path / 'alone'}" in report.read_text()
    assert "<h2>Training</h2>" not in report.read_text()
    assert "no such run" in delineate("val", tmp_path / "alone").mistake, "it alone knows what its own data are"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--min-score", 0.001], "score: the exported graph gives nothing below 0.01; ask it of the run"),
        (["--nms-iou", 0.9], "nms_iou: it is 0.45 inside the exported graph; ask it of the run"),
        (["--max-detections", 1000], "max_detections: the exported graph gives 200 at most; ask it of the run"),
    ],
)
def test_thresholds_inside_of_the_graph_stay(
    delineate: Callable, export: Path, option: list[object], message: str
) -> None:
    assert delineate("val", export, *option).mistake == message


def test_where_the_graph_does_not_do_the_run_is_named(
    delineate: Callable, data: Path, ssd: Path, export: Path, tmp_path: Path
) -> None:
    picture = next((data / "images" / "val").iterdir())
    line = f"{export}: an export, whose graph can neither be looked into nor trained; name its run, "
    for command in (
        ["explain", export, picture, "--out", tmp_path / "page.html"],
        ["propose", picture, "--run", export, "--out", tmp_path / "proposals"],
        ["train", "ssd", data, "--weights", export, "--out", tmp_path / "run"],
        ["export", export],
    ):
        ended = delineate(*command)
        assert (ended.code, ended.err.splitlines()[-1]) == (2, f"error: {line}{ssd / 'best.safetensors'}")


def test_a_run_and_its_export_stand_in_one_table(
    delineate: Callable, data: Path, ssd: Path, export: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    arguments = ["compare", data, "--out", out, "--runs", f"{ssd},{export}"]
    first, second = delineate(*arguments, "--json").json["results"]
    assert [first["name"], second["name"]] == ["ssd", "ssd onnx fp32"]
    for name in ("parameters (million)", "GFLOPs", "pictures seen", "training (s)"):
        assert first[name] == second[name] > 0, name
    assert abs(first["AP"] - second["AP"]) <= 0.001
    assert second["pictures/s"] > 0
    with (out / "results.csv").open() as opened:
        assert [row["exported"] for row in csv.DictReader(opened)] == ["", "onnx fp32"]
    page = (out / "report.html").read_text()
    assert "1 system and 1 export compared" in page
    assert "The network of an export normalises and finds, too." in page
    assert page.count("data:image/jpeg") == 3 * 3  # truth and two rows, three pictures
    (out / "report.html").unlink()
    assert "ssd onnx fp32" in delineate("report", out).out
    assert (out / "report.html").read_text() == page
    again = delineate(*arguments)
    assert "ssd onnx fp32: measured before" in again.err
    assert (out / "report.html").read_text() == page


def test_runs_alone_are_compared_without_training(
    delineate: Callable, data: Path, ssd: Path, export: Path, tmp_path: Path
) -> None:
    arguments = ["compare", data, "--out", tmp_path / "study", "--runs", ssd, "--runs", export, "--dry-run"]
    plan = delineate(*arguments, "--json").json
    assert plan["entries"] == []
    assert plan["runs"] == {"ssd": str(ssd / "best.safetensors"), "ssd onnx fp32": str(export)}
    assert delineate(*arguments).out.splitlines()[-1] == "2 systems trained before: measured as they are"
    assert not (tmp_path / "study").exists()


def test_the_task_is_that_of_the_runs(
    delineate: Callable, data: Path, trained: Path, export: Path, tmp_path: Path
) -> None:
    plan = ["compare", data, "--out", tmp_path / "study", "--dry-run"]
    assert list(delineate(*plan, "--runs", trained, "--json").json["runs"]) == ["segnet_basic"]
    mixed = delineate(*plan, "--runs", trained, "--runs", export).err.splitlines()[-1]
    assert "is a ssd, of the task detect, and 'segment' is compared; compare those of one task" in mixed
    assert delineate(*plan, "--runs", "nowhere").mistake.startswith("nowhere: no such run")
