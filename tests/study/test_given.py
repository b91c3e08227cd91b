import importlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.study.samples import result

from delineate.artefact import Record
from delineate.artefact.record import hashes, kind_record
from delineate.data import read_dataset, read_image, synthesise
from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor
from delineate.study import Entry, Study, compare, given, load_results, name_given
from delineate.study.measuring import Measurement, measure_here
from delineate.study.pictures import check, measured_data
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.training import TrainingSettings
from delineate.training.data import remember_held_out, training_data
from delineate.training.runs import Run
from delineate.values import Categories, InputError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given") / "data"
    synthesise(folder, num_images=20, image_size=(64, 64))
    return folder


@pytest.fixture(scope="module")
def system(data: Path) -> System:
    arguments, categories = {"width": 4}, read_dataset(data, "val").categories
    model = build("segnet_basic", categories, **arguments)
    return System(name="segnet_basic", model=model, arguments=arguments, categories=categories, preprocess=Preprocess())


@pytest.fixture
def run(data: Path, system: System, tmp_path: Path) -> Callable[..., Path]:
    """Makes runs that learned nothing."""

    def make(folder: str, **settings: Any) -> Path:
        settings = {"model": "segnet_basic", "data": data, "out": tmp_path / folder} | settings
        made = Run.create(TrainingSettings(**settings))
        system.save(made.best)
        return made.folder

    return make


def export(run: Path, system: System, to: str = "onnx", precision: str = "fp32", folder: str = "") -> Path:
    """All of an export but its graph: enough to be named, and to be refused."""
    path = run / "exports" / (folder or f"{to}-{precision}")
    path.mkdir(parents=True)
    record = Record(
        system=system.name,
        arguments=system.arguments,
        task=system.task.name,
        protocol="",
        categories=system.categories,
        preprocess=system.preprocess,
        input_size=None,
        reader=kind_record(system.reader),
        search=None,
        most_objects=None,
        outputs=("logits",),
        target=to,
        precision=precision,
        metrics={},
        parameters=1234,
        flops=5e6,
        run=str(run / "best.safetensors"),
        files={},
    )
    (path / record.graph).write_text("no graph")
    record = record.model_copy(update={"files": hashes(path, [record.graph])})
    (path / "system.json").write_text(record.model_dump_json())
    (path / "verdict.json").write_text("{}")
    return path


def test_rows_have_short_names(run: Callable[..., Path], system: System) -> None:
    first = run("first")
    onnx, lighter = export(first, system), export(first, system, "openvino", "bf16")
    names = name_given([first, onnx, lighter, first / "best.safetensors"])
    assert names == {
        "segnet_basic": first / "best.safetensors",
        "segnet_basic onnx fp32": onnx,
        "segnet_basic openvino bf16": lighter,
    }


def test_what_would_have_one_name_is_told_apart_by_folders(run: Callable[..., Path], system: System) -> None:
    first, second = run("of/first/run"), run("of/second/run")
    again = export(first, system, folder="again")
    shutil.copyfile(second / "best.safetensors", second / "last.safetensors")
    names = name_given([second, export(first, system), again, export(second, system)])
    assert list(names) == [
        "segnet_basic (second)",
        "segnet_basic (first) onnx fp32 (onnx-fp32)",
        "segnet_basic (first) onnx fp32 (again)",
        "segnet_basic (second) onnx fp32",
    ]
    assert list(name_given([second, second / "last.safetensors"])) == [
        "segnet_basic (best.safetensors)",
        "segnet_basic (last.safetensors)",
    ]


def test_exports_of_a_studys_own_runs_are_named_as_these(
    run: Callable[..., Path], system: System, tmp_path: Path
) -> None:
    entries = [Entry(name="segnet_basic width=4", model="segnet_basic"), Entry(name="segnet_basic", model="unet")]
    own = run("study/entries/segnet_basic_width=4/seed-0/run")
    names = name_given([own, export(own, system), run("mine")], entries, tmp_path / "study")
    assert list(names) == ["segnet_basic width=4 onnx fp32", "segnet_basic (mine)"]


def study(data: Path, *paths: Path, **changes: Any) -> Study:
    return Study(**{"data": data, "task": "segment", "runs": name_given(paths), **changes})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is measured, in no time."""
    names: list[str] = []

    def measure(name: str, its: given.Given, *_: Any) -> Any:
        if its.system == "unet":
            raise InputError("it does not fit")
        names.append(name)
        return result(name, 0.5, 10.0, seeds=[], exported=its.exported)

    monkeypatch.setattr(given, "_result", measure)
    return names


def test_what_is_measured_is_kept_until_its_file_changes(
    data: Path, run: Callable[..., Path], system: System, tmp_path: Path, measured: list[str]
) -> None:
    first, out, lines = run("first"), tmp_path / "study", list[str]()
    onnx = export(first, system)
    assert [row.name for row in compare(study(data, first), out, say=lines.append).results] == ["segnet_basic"]
    compare(study(data, first, onnx), out, say=lines.append)
    assert measured == ["segnet_basic", "segnet_basic onnx fp32"]
    assert "segnet_basic: measured before" in lines
    (onnx / "graph.onnx").write_text("another graph")
    findings = compare(study(data, first, onnx), out, say=lines.append)
    assert measured[2:] == ["segnet_basic onnx fp32"]
    assert [row.exported for row in load_results(out)] == ["", "onnx fp32"]
    assert findings.results == load_results(out)
    second = run("second")
    assert [row.name for row in compare(study(data, first, second), out, say=lines.append).results] == [
        "segnet_basic (first)",
        "segnet_basic (second)",
    ]
    assert measured[3:] == ["segnet_basic (second)"], "the first has another name, and is measured no more"
    assert len(measured_data(out)) == 4


def test_they_stand_beside_what_is_trained(
    data: Path, run: Callable[..., Path], tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = importlib.import_module("delineate.study.compare")
    monkeypatch.setattr(trained, "_one", lambda study, entry, *_: result(entry.name, 0.4, 20.0))
    entries = [Entry(name="segnet_basic width=4", model="segnet_basic", arguments={"width": 4})]
    asked = study(data, run("mine"), entries=entries, minutes=1.0)
    findings = compare(asked, tmp_path / "study", say=lambda line: None)
    assert [row.name for row in findings.results] == ["segnet_basic width=4", "segnet_basic"]
    assert [len(row.seeds) for row in findings.results] == [1, 0]
    assert findings.facts["equal for all"].endswith("augmentation; not for segnet_basic, trained before")
    assert measured == ["segnet_basic"]


def test_what_cannot_be_measured_any_more_has_no_row(
    data: Path, run: Callable[..., Path], system: System, tmp_path: Path, measured: list[str]
) -> None:
    first, other, out = run("first"), run("other"), tmp_path / "study"
    asked = study(data, first, other)
    assert len(compare(asked, out, say=lambda line: None).results) == 2
    arguments = {"backbone": "plain", "width": 4}
    unet = build("unet", system.categories, **arguments)
    replace(system, name="unet", arguments=arguments, model=unet).save(other / "best.safetensors")
    findings = compare(asked, out, say=lambda line: None)
    assert findings.failures == {"segnet_basic (other)": "it does not fit"}
    assert [row.name for row in findings.results] == ["segnet_basic (first)"]
    assert "it does not fit" in next((out / "given").glob("*/error.txt")).read_text()


def test_runs_that_were_trained_on_what_is_measured_are_named(
    data: Path, run: Callable[..., Path], system: System, tmp_path: Path, measured: list[str]
) -> None:
    fair, unfair = run("fair"), run("unfair", train_split="val")
    unknown = tmp_path / "unknown"
    system.save(unknown / "best.safetensors")
    lines: list[str] = []
    asked = study(data, fair, unfair, export(unfair, system), unknown)
    findings = compare(asked, tmp_path / "study", say=lines.append)
    line = "trained on pictures that are measured, and so better there than on new ones: "
    assert [said.removeprefix(line) for said in lines if said.startswith(line)] == [
        "segnet_basic (unfair) (on 4 of 4), segnet_basic (unfair) onnx fp32 (on 4 of 4)"
    ]
    assert "segnet_basic (unfair) (on 4 of 4)" in next(
        value for name, value in findings.facts.items() if name.startswith("trained on pictures")
    )


def test_without_the_split_what_the_run_held_out_is_measured(
    data: Path, run: Callable[..., Path], tmp_path: Path, measured: list[str]
) -> None:
    part = tmp_path / "data"
    shutil.copytree(data, part)
    for file in part.glob("annotations/*val.json"):
        file.unlink()
    holding, other = run("holding", data=part), run("other", data=part, seed=1)
    held_out = {}
    for folder in (holding, other):
        settings = Run(folder).settings()
        _, val, _ = training_data(settings, given.find_entry("segnet_basic").task)
        remember_held_out(folder, settings, val)
        held_out[folder] = {file.name for file in val.files}
    lines: list[str] = []
    findings = compare(study(part, holding, other), tmp_path / "study", say=lines.append)
    assert {file.name for file in measured_data(tmp_path / "study").files} == held_out[holding]
    assert findings.facts["data"] == f"{part}, measured on held out of split train"
    learned = len(held_out[holding] - held_out[other])
    assert learned > 0
    said = f"on new ones: segnet_basic (other) (on {learned} of {len(held_out[holding])})"
    assert any(line.endswith(said) for line in lines)
    shutil.rmtree(holding)
    compare(study(part, other), tmp_path / "study", say=lines.append)
    assert {file.name for file in measured_data(tmp_path / "study").files} == held_out[holding]


def test_mistakes_are_said_before_anything_is_measured(
    data: Path, run: Callable[..., Path], system: System, tmp_path: Path
) -> None:
    first = run("first")
    with pytest.raises(InputError, match=r"best\.safetensors is a segnet_basic, of the task segment, and 'detect' is"):
        check(study(data, first, task="detect"), tmp_path / "study", lambda line: None)
    names = ("cat", *system.categories.class_names[1:])
    cats = Categories(class_names=names, label_map_names=(*names, "background"))
    replace(system, categories=cats).save(tmp_path / "cats" / "best.safetensors")
    with pytest.raises(InputError, match=r"class names: 0 is 'cat' where trained and '\w+' in .*, split val"):
        check(study(data, tmp_path / "cats"), tmp_path / "study", lambda line: None)
    with pytest.raises(InputError, match="nowhere: no such run"):
        name_given([Path("nowhere")])
    assert not (tmp_path / "study").exists()


def test_a_measured_run_has_what_an_entry_has(
    data: Path, run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(path: Path, pictures: Sequence[Path], device: str) -> Measurement:  # in this process
        return measure_here(Predictor.load(path, device=device).system, [read_image(pictures[0])])

    monkeypatch.setattr(given, "measure", measure)
    first = run("first")
    Run(first).write_metrics([{"epoch": 1.0, "pictures": 32.0, "seconds": 2.5}])
    (row,) = compare(study(data, first), tmp_path / "study", say=lambda line: None).results
    assert (row.metric, list(row.seeds), row.pictures, row.training_seconds) == ("mIoU", [], 32, 2.5)
    assert row.size == (first / "best.safetensors").stat().st_size
    assert row.parameters > 100
    assert row.flops > 1e5
    assert json.loads((tmp_path / "study" / "study.json").read_text())["runs"] == {
        "segnet_basic": str(first / "best.safetensors")
    }
