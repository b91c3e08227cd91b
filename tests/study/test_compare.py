import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from delineate.data import synthesise
from delineate.study import Entry, Study, compare, load_results
from delineate.study.pictures import check, measured_data
from delineate.training import TrainingSettings
from delineate.values import InputError

compare_module = importlib.import_module("delineate.study.compare")

SMALL = {"crop_size": (48, 48), "batch_size": 4, "workers": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "data"
    synthesise(folder, num_images=20, image_size=(64, 64))
    return folder


def study(data: Path, **changes: Any) -> Study:
    entries = [
        Entry(name="basic", model="segnet_basic", arguments={"width": 4}),
        Entry(name="full", model="fcn_full_resolution", arguments={"width": 4, "depth": 2}),
    ]
    values: dict[str, Any] = {"data": data, "task": "segment", "entries": entries, "minutes": 0.05}
    return Study(**{**values, "settings": SMALL, **changes})


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "study"
    compare(study(data), out, say=lambda line: None)
    return out


def test_each_entry_is_trained_for_its_share_and_measured(finished: Path) -> None:
    first, second = load_results(finished)
    assert (first.name, second.name) == ("basic", "full")
    for result in (first, second):
        assert result.metric == "mIoU"
        assert 0 < result.accuracy < 1
        assert result.training_seconds > 0
        assert result.pictures > 0
        assert result.parameters > 100
        assert result.flops > 1e5
        assert result.size > 1000
        steps = [result.latency[step].median for step in ("prepare", "proposals", "network", "find", "results")]
        assert all(step >= 0 for step in steps)
        assert result.latency["total"].low <= result.latency["total"].median <= result.latency["total"].high
    assert (finished / "results.csv").read_text().count("\n") == 3
    assert json.loads((finished / "results.json").read_text())["facts"]["measured on"]


def test_called_again_it_trains_nothing_and_gives_the_same_table(finished: Path, data: Path) -> None:
    before, lines = (finished / "results.json").read_bytes(), []
    compare(study(data), finished, say=lines.append)
    assert lines[-2:] == ["basic, seed 0: finished before", "full, seed 0: finished before"]
    assert (finished / "results.json").read_bytes() == before


def test_a_killed_study_keeps_what_is_finished_and_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_run = compare_module.evaluate_run

    def killed(run: Path, *arguments: Any, **options: Any) -> Any:
        if "full" in str(run):
            raise KeyboardInterrupt
        return evaluate_run(run, *arguments, **options)

    monkeypatch.setattr(compare_module, "evaluate_run", killed)
    with pytest.raises(KeyboardInterrupt):
        compare(study(data), tmp_path / "out", say=lambda line: None)
    (only,) = load_results(tmp_path / "out")
    monkeypatch.undo()
    weights = (tmp_path / "out" / "entries" / "full" / "seed-0" / "run" / "best.safetensors").read_bytes()
    lines: list[str] = []
    findings = compare(study(data), tmp_path / "out", say=lines.append)
    assert "basic, seed 0: finished before" in lines
    assert findings.results[0] == only
    assert len(findings.results) == 2
    after = (tmp_path / "out" / "entries" / "full" / "seed-0" / "run" / "best.safetensors").read_bytes()
    assert after == weights  # it was trained before, and measured now


def test_one_that_fails_does_not_end_the_others(data: Path, tmp_path: Path) -> None:
    entries = [
        Entry(name="broken", model="unet", arguments={"backbone": "nothing_of_that_name"}),
        Entry(name="basic", model="segnet_basic", arguments={"width": 4}),
    ]
    out, lines = tmp_path / "out", []
    findings = compare(study(data, entries=entries, minutes=0.02), out, say=lines.append)
    assert [result.name for result in findings.results] == ["basic"]
    assert "nothing_of_that_name" in findings.failures["broken, seed 0"]
    assert "Traceback" in (out / "entries" / "broken" / "seed-0" / "error.txt").read_text()
    assert json.loads((out / "results.json").read_text())["failures"] == dict(findings.failures)


def test_equal_pictures_are_equal_epochs(data: Path, tmp_path: Path) -> None:
    findings = compare(study(data, fair="images", minutes=0.02), tmp_path / "out", say=lambda line: None)
    first, second = findings.results
    assert first.pictures == second.pictures > 0
    assert set(json.loads((tmp_path / "out" / "pace.json").read_text())) == {"basic", "full"}


def settings_of(study: Study, out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, TrainingSettings]:
    """What each entry would be trained by."""
    asked: dict[str, TrainingSettings] = {}

    def train(settings: TrainingSettings, *, lighter: bool) -> None:
        assert not lighter, "a study decides for all"
        asked[settings.model] = settings
        raise InputError("no more is asked")

    monkeypatch.setattr(compare_module, "train", train)
    compare(study, out, say=lambda line: None)
    return asked


def test_each_may_have_its_lighter_form_with_options_of_its_own(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        Entry(name="ssd", model="ssd"),
        Entry(name="faster", model="faster_rcnn", arguments={"width": 64}, settings={"short_side": 96}),
    ]
    asked = settings_of(
        study(data, task="detect", entries=entries, settings=None, lighter=True), tmp_path / "out", monkeypatch
    )
    assert asked["ssd"].arguments == {"backbone": "resnet10t", "image_size": 240}
    assert asked["faster_rcnn"].arguments == {"width": 64, "num_rois": 64}
    assert asked["faster_rcnn"].short_side == 96
    varied = settings_of(
        study(data, task="detect", entries=entries, settings={"colour": 0.5}, lighter=True),
        tmp_path / "varied",
        monkeypatch,
    )
    assert {(its.scale, its.colour) for its in varied.values()} == {((0.75, 1.33), 0.5)}, "what goes together stays"
    assert {(its.augment, its.scale, its.colour, its.batch_size) for its in asked.values()} == {
        ("scale", (1.0, 1.0), 0.0, 4)
    }
    usual = settings_of(study(data, task="detect", entries=entries, settings=None), tmp_path / "usual", monkeypatch)
    assert usual["ssd"].arguments == {}
    assert {(its.augment, its.scale, its.colour, its.batch_size) for its in usual.values()} == {
        ("scale", (0.75, 1.33), 0.3, 8)
    }


@pytest.mark.parametrize(
    ("asked", "is_said"),
    [
        ({"minutes": 20.0}, True),
        ({"minutes": 20.2}, False),
        ({"minutes": 20.0, "lighter": True}, False),
        ({"minutes": 20.0, "fair": "images"}, False),
    ],
)
def test_where_minutes_are_few_lighter_forms_are_named(
    data: Path, tmp_path: Path, asked: dict[str, Any], is_said: bool
) -> None:
    lines: list[str] = []
    check(study(data, **asked), tmp_path / "out", lines.append)
    line = "10 min for each as it is: on a CPU, forms that learn sooner make more of it (--lighter)"
    assert (line in lines) == is_said


def test_what_has_no_backbone_begins_from_scratch_among_others(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [Entry(name="basic", model="segnet_basic"), Entry(name="segnet", model="segnet")]
    common = {**SMALL, "pretrained": "auto"}
    asked = settings_of(study(data, entries=entries, settings=common, lighter=True), tmp_path / "out", monkeypatch)
    assert (asked["segnet_basic"].pretrained, asked["segnet"].pretrained) == ("none", "auto")
    assert "backbone" not in asked["segnet"].arguments  # of its lighter form's there may be no weights
    facts = json.loads((tmp_path / "out" / "results.json").read_text())["facts"]
    assert "; basic from scratch, without a choice of backbones" in facts["equal for all"]


def test_a_study_that_calls_its_task_a_question_goes_on(finished: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "earlier")
    file = tmp_path / "earlier" / "study.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "question": record.pop("task")}))
    lines: list[str] = []
    compare(study(data), tmp_path / "earlier", say=lines.append)
    assert lines[-2:] == ["basic, seed 0: finished before", "full, seed 0: finished before"]


def test_without_a_split_to_measure_on_all_hold_out_the_same_pictures(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    for file in (tmp_path / "data").glob("annotations/*val.json"):
        file.unlink()
    out, lines = tmp_path / "out", []
    asked = study(tmp_path / "data", minutes=0.04, seeds=2)
    check(asked, tmp_path / "dry", lines.append)
    assert not (tmp_path / "dry").exists()
    assert any("no split 'val': validating on 2 of the 16 pictures" in line for line in lines)
    findings = compare(asked, out, say=lambda line: None)
    assert not findings.failures
    lists = {file.read_text() for file in (out / "entries").rglob("held_out.txt")} | {
        (out / "held_out.txt").read_text()
    }
    [same] = {tuple(text.splitlines()[1:]) for text in lists}
    assert len(list((out / "entries").rglob("held_out.txt"))) == 4
    assert [file.name for file in measured_data(out).files] == [Path(line).name for line in same]
    assert "trained on split train, measured on held out of split train" in findings.facts["data"]


def test_pictures_that_cannot_be_read_are_left_out_when_asked(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    broken = sorted((tmp_path / "data" / "images" / "val").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(InputError, match="--skip-unreadable"):
        compare(study(tmp_path / "data"), tmp_path / "out", say=lambda line: None)
    asked = study(tmp_path / "data", skip_unreadable=True, minutes=0.02)
    findings = compare(asked, tmp_path / "out", say=lambda line: None)
    assert not findings.failures
    assert "but for 1 picture that cannot be read" in findings.facts["data"]
    assert broken not in measured_data(tmp_path / "out").files


def test_another_study_does_not_go_on_in_its_folder(finished: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a study with another minutes; name another --out"):
        compare(study(data, minutes=1.0), finished, say=lambda line: None)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is no empty folder and no study"):
        compare(study(data), tmp_path, say=lambda line: None)
    with pytest.raises(InputError, match=r"no study, there is no study\.json in it"):
        load_results(tmp_path)
    with pytest.raises(InputError, match="nothing to compare"):
        compare(study(data, entries=[]), tmp_path / "none", say=lambda line: None)
