"""A run goes out of the library and comes back: the same results, by every command that takes a run."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch

import delineate.export.optimising as optimising
from delineate.artefact import load_system, read_record
from delineate.cli.app import run as command
from delineate.data.preprocess import Preprocess
from delineate.data.splits import read_split
from delineate.data.synthetic import synthesise
from delineate.deploy import Predictor
from delineate.evaluation import evaluate_run, source_of
from delineate.evaluation.operating import Aim, calibrate_run
from delineate.export import exporting, verdict
from delineate.export.exporting import check_export, export_run
from delineate.io.signals import signal_stack
from delineate.system.catalog import build
from delineate.system.operating import fingerprint
from delineate.system.system import System
from delineate.system.tasks import DETECT
from delineate.values import Detections, InputError

TINY: dict[str, Any] = {"backbone": "resnet10t", "image_size": 96, "smallest_scale": 0.2}


def quiet(_: str) -> None:
    """Take a line, and say nothing."""


@pytest.fixture(autouse=True, scope="module")
def _without_shape_checks() -> Iterator[None]:
    """Shapes are symbols while a graph is traced."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned nothing, beside its data."""
    folder = tmp_path_factory.mktemp("run")
    synthesise(folder / "data", num_images=12, image_size=(64, 80))
    categories = read_split(folder / "data", "train", DETECT).categories
    torch.manual_seed(0)
    system = System(
        name="ssd",
        model=build("ssd", categories, **TINY),
        arguments=TINY,
        preprocess=Preprocess(size=(96, 96)),
        categories=categories,
    )
    system.save(folder / "ssd" / "best.safetensors")
    facts = {"model": "ssd", "data": str(folder / "data"), "train_split": "train", "val_split": "val", "format": None}
    (folder / "ssd" / "settings.json").write_text(json.dumps(facts))
    return folder / "ssd"


@pytest.fixture(scope="module")
def sampled(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, whose pictures are resized as torchvision's detectors have it, into floats."""
    system = System.load(run / "best.safetensors")
    folder = tmp_path_factory.mktemp("sampled") / "run"
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("exports"))
    replace(system, preprocess=replace(system.preprocess, resizing="sampled")).save(folder / "best.safetensors")
    return folder


@pytest.fixture(scope="module")
def export(run: Path) -> Path:
    folder, levels = export_run(run, to="onnx", say=quiet)
    assert [level.name for level in levels] == ["graph", "results", "metric"]
    return folder


def test_an_export_has_the_operating_points_of_its_run(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    source = source_of(run, run.parent / "data", "train")
    calibrated = calibrate_run(tmp_path / "run", source, Aim.read("recall=0.1"), num_workers=0)
    folder, _ = export_run(tmp_path / "run", to="onnx", source=source, out=tmp_path / "out", say=quiet)
    points = load_system(folder).operating_points
    assert points is not None
    assert points.classes == calibrated.points.classes
    assert points.weights == fingerprint(folder / "system.json")
    again = calibrate_run(folder, source, Aim(), num_workers=0)
    assert again.file == folder / "operating_points.json"
    assert load_system(folder).operating_points == again.points.model_copy(update={"weights": points.weights})


def test_an_export_gives_what_its_run_gives(run: Path, export: Path) -> None:
    assert export == run / "exports" / "onnx-fp32"
    assert sorted(file.name for file in export.iterdir()) == ["graph.onnx", "system.json", "verdict.json"]
    finds_the_same(export, run, within=1e-5)
    assert evaluate_run(export).metrics["AP"] == pytest.approx(evaluate_run(run).metrics["AP"], abs=1e-3)


def finds_the_same(export: Path, run: Path, *, within: float) -> None:
    """Scores are the same, but for so much."""
    files = sorted((Path(json.loads((run / "settings.json").read_text())["data"])).rglob("*.png"))[:4]
    ours, theirs = (Predictor.load(path, device="cpu") for path in (export, run))
    for one, other in zip(ours(files), theirs(files), strict=True):
        assert isinstance(one, Detections)
        assert isinstance(other, Detections)
        torch.testing.assert_close(one.scores, other.scores, atol=within, rtol=0)
        assert len(one) > 0


def test_an_export_takes_floats_where_its_run_resizes_into_them(sampled: Path) -> None:
    folder, levels = export_run(sampled, to="onnx", say=quiet)
    assert all(level.passed for level in levels)
    assert read_record(folder).pictures == "float32"
    finds_the_same(folder, sampled, within=1e-5)


def test_an_earlier_export_of_such_a_run_takes_bytes_and_is_not_called_the_same(
    sampled: Path, export: Path, tmp_path: Path
) -> None:
    shutil.copytree(export, tmp_path / "earlier")
    facts = json.loads((export / "system.json").read_text())
    del facts["pictures"]
    facts["preprocess"]["resizing"] = "sampled"
    (tmp_path / "earlier" / "system.json").write_text(json.dumps(facts))
    finds_the_same(tmp_path / "earlier", sampled, within=0.01)
    with pytest.raises(InputError, match=r"takes pictures of uint8, .* resizes them into float32"):
        check_export(tmp_path / "earlier", run=sampled, say=quiet)


def test_a_verdict_says_what_was_compared_and_where(run: Path, export: Path) -> None:
    said = json.loads((export / "verdict.json").read_text())
    assert [level["name"] for level in said["levels"]] == ["graph", "results", "metric"]
    assert said["run"]["file"] == str(run / "best.safetensors")
    assert {"onnxruntime", "torch"} <= set(said["versions"])
    assert read_record(export).files.keys() == {"graph.onnx"}


def test_a_stricter_choice_is_made_of_an_export_and_no_other(run: Path, export: Path) -> None:
    system = load_system(export, device="cpu")
    image = torch.full((3, 64, 80), 200, dtype=torch.uint8)
    (all_of_them,) = system.infer([image])
    assert isinstance(all_of_them, Detections)
    middle = float(all_of_them.scores[len(all_of_them) // 2])
    (fewer,) = system.with_thresholds(score=middle).infer([image])
    assert isinstance(fewer, Detections)
    assert len(fewer) == int((all_of_them.scores > middle).sum())
    (three,) = system.with_thresholds(max_detections=3).infer([image])
    assert isinstance(three, Detections)
    assert len(three) == 3
    for asked in ({"nms_iou": 0.3}, {"score": 0.0}, {"max_detections": 1000}, {"max_candidates": 7}):
        with pytest.raises(InputError, match=rf"^{next(iter(asked))}: .*ask it of the run$"):
            system.with_thresholds(**asked)


def test_an_export_is_checked_again_and_a_changed_one_refused(run: Path, export: Path, tmp_path: Path) -> None:
    assert all(level.passed for level in check_export(export, say=quiet))
    graph = export / "graph.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + b"\0")
    try:
        with pytest.raises(InputError, match=r"graph\.onnx: it is not the file that was exported"):
            check_export(export, say=quiet)
    finally:
        graph.write_bytes(content)


@pytest.mark.parametrize("kind", ["a level that fails", "Ctrl-C"])
def test_what_is_not_proved_is_not_there(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "Ctrl-C":
        monkeypatch.setattr(exporting, "write_verdict", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            export_run(run, to="onnx", out=out, say=quiet)
    else:
        monkeypatch.setitem(verdict.VALUES, "scores", -1.0)
        with pytest.raises(InputError, match=r"graph failed, .*scores .*\(at most -1\)"):
            export_run(run, to="onnx", out=out, say=quiet)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import delineate.export.exporting as exporting
exporting.write_verdict = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
exporting.export_run(Path(sys.argv[1]), to="onnx", out=Path(sys.argv[2]), say=lambda _: None)
"""


def test_an_export_that_is_killed_leaves_nothing_that_loads(run: Path, tmp_path: Path) -> None:
    """It is killed at the last moment, with all but the verdict there."""
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", KILLED, run, out], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.")
    assert sorted(file.name for file in left.iterdir()) == ["graph.onnx", "system.json"]
    for folder in (out, left):
        with pytest.raises(InputError):
            Predictor.load(folder)


def test_a_folder_without_a_verdict_is_no_export(export: Path, tmp_path: Path) -> None:
    for name in ("graph.onnx", "system.json"):
        (tmp_path / name).write_bytes((export / name).read_bytes())
    with pytest.raises(InputError, match=r"verdict\.json is missing; copy the whole folder"):
        Predictor.load(tmp_path)


def test_targets_that_compute_otherwise_are_refused_in_one_line(run: Path, export: Path) -> None:
    with pytest.raises(InputError, match=r"^precision: bf16 is computed by OpenVINO alone; take --to openvino"):
        export_run(run, to="onnx", precision="bf16", say=quiet)
    with pytest.raises(InputError, match=r"^out: .*onnx-fp32 is no empty folder"):
        export_run(run, to="onnx", say=quiet)


def test_options_that_an_export_cannot_follow_are_refused(
    run: Path, export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, message in (
        ({"precision": "bf16"}, "precision: .* computes in fp32"),
        ({"weights": "last"}, "weights: "),
    ):
        with pytest.raises(InputError, match=f"^{message}"):
            load_system(export, **options)
    assert command(["export", str(run), "--format", "coco"]) == 2
    assert "format: the run knows that of its own data" in capsys.readouterr().err


def test_int8_is_calibrated_on_what_the_run_learned_from(run: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    stack = signal_stack()
    folder, levels = export_run(
        run, to="openvino", precision="int8", out=tmp_path / "int8", tolerance=1.0, say=lines.append
    )
    assert [level.name for level in levels] == ["graph", "results", "metric"]
    assert any(line.startswith("int8: ") and "layers are quantised" in line for line in lines)
    assert "FakeQuantize" in (folder / "graph.xml").read_text()
    said = json.loads((folder / "verdict.json").read_text())
    assert said["precision"] == "int8"
    kept = said["in_floating_point"]
    assert f"int8: {said['layers'] - len(kept)} of {said['layers']} layers are quantised" in " ".join(lines)
    assert 0 <= len(kept) < said["layers"]
    check_export(folder, tolerance=1.0, say=quiet)
    assert json.loads((folder / "verdict.json").read_text())["in_floating_point"] == kept
    assert signal_stack().pointer == stack.pointer


def test_commands_export_and_check(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "ov")
    assert command(["export", str(run), "--to", "openvino", "--out", out, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["export"] == out
    assert all(level["passed"] for level in said["levels"])
    assert command(["check", out, "--run", str(run)]) == 0
    assert command(["export", str(run), "--to", "openvino", "--out", out]) == 2
    assert "no empty folder" in capsys.readouterr().err


def test_the_fastest_form_that_gives_the_results_is_measured_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([3.0, 2.0])  # of the run itself, and of the one form that gives what it gives
    monkeypatch.setattr(optimising, "_seconds", lambda *_: next(times))
    monkeypatch.setattr(optimising, "compiled", lambda system: system.with_thresholds(max_detections=1))
    monkeypatch.setitem(verdict.CLOSE, "bf16", verdict.CLOSE["bf16"]._replace(objects=-1.0))
    lines: list[str] = []
    system = optimising.load_optimised(run / "best.safetensors", lines.append)
    assert read_record(run / "optimised" / "openvino-fp32").precision == "fp32"
    assert system.task == DETECT
    assert any(line.startswith("compiled is left out: results failed") for line in lines)
    assert any(line.startswith("openvino-bf16 is left out: ") and "results failed" in line for line in lines)
    assert lines[-1].endswith("taken: openvino-fp32")
    kept = json.loads((run / "optimised" / "choice.json").read_text())
    assert kept["choice"] == "openvino-fp32"
    assert kept["left_out"].keys() == {"compiled", "openvino-bf16"}
    assert [file.name for file in (run / "optimised").iterdir() if file.is_dir()] == ["openvino-fp32"]
    lines.clear()
    optimising.load_optimised(run / "best.safetensors", lines.append)
    assert lines == []  # `times` would have ended
