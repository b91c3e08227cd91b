import json
import time
from pathlib import Path

import pytest
from tests.label.folders import DONE, Held, opened, put, raw
from tests.models.systems import pictures

from delineate.data import read_dataset
from delineate.label import Labels
from delineate.label.beginning import weights_of
from delineate.label.training import RUNS, Status, Training
from delineate.system.operating import FILE as POINTS
from delineate.system.tasks import DETECT, SEGMENT
from delineate.values import InputError


def marked(folder: Path, models: Held, **options: object) -> Labels:
    """Ten pictures in which all is marked."""
    labels = opened(raw(folder, 10), models, task="detect")
    by_file = {f"{number}.png": target for number, target in enumerate(pictures(10)[1])}
    for picture in labels.collection.pictures:
        target = by_file[picture.file.name]
        marks = [put(name, name, box.tolist()) for name, box in zip(("disk", "box"), target.boxes, strict=True)]
        labels.edit(picture, 0, "me", [*marks, DONE])
    return labels


def test_a_first_model_is_trained_and_goes_on(tmp_path: Path) -> None:
    models, heard = Held(), []
    labels = marked(tmp_path, models)
    labels._model = "ssd"
    labels.events.listen(heard.append)
    assert labels.begin_training(0.02).state == "running"
    with pytest.raises(InputError, match="one goes on already"):
        labels.begin_training(0.02)
    status = labels.training.wait()
    assert status.error is None
    assert models.names() == ["labels"]  # there was none: it is used at once
    assert {"kind": "model", "name": "labels"} in heard
    settings = json.loads((tmp_path / RUNS / "run-1" / "settings.json").read_text())
    assert (settings["model"], settings["data"]) == ("ssd", str(tmp_path))
    assert len(read_dataset(tmp_path, "val")) == 2
    assert (tmp_path / RUNS / "run-1" / POINTS).is_file()  # which scores are shown is chosen by what it held out

    labels.begin_training(0.02)
    status = labels.training.wait()
    assert (status.state, status.error, status.metric) == ("done", None, "AP")
    assert status.before is not None
    assert status.after is not None
    assert json.loads((tmp_path / RUNS / "run-2" / "settings.json").read_text())["weights"] == str(
        tmp_path / RUNS / "run-1"
    )
    assert labels.accept() == "labels"
    assert models.run("labels") == tmp_path / RUNS / "run-2"
    assert labels.training.status.state == "none"
    with pytest.raises(InputError, match="no run that is done"):
        labels.accept()
    labels.close()


def test_too_little_is_said(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path))
    assert not labels.can_train
    with pytest.raises(InputError, match="5 pictures that are done are the least"):
        labels.begin_training()


def test_what_goes_wrong_is_said_in_its_line(tmp_path: Path) -> None:
    statuses: list[Status] = []
    training = Training(tmp_path, DETECT, statuses.append)
    training.begin(tmp_path / "nowhere", minutes=0.1, model="ssd", weights=None, device="cpu")
    assert training.wait().state == "failed"
    assert "there is no such folder" in str(training.status.error)
    assert [status.state for status in statuses] == ["running", "failed"]


def test_whatever_goes_wrong_the_next_one_can_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(tmp_path, DETECT, lambda status: None)

    def broken(*_: object) -> dict[str, object]:
        raise ValueError("no JSON")

    monkeypatch.setattr(training, "_call", broken)
    for _ in range(2):
        training.begin(tmp_path, minutes=0.1, model="ssd", weights=None, device="cpu")
        assert (training.wait().state, training.status.error) == ("failed", "ValueError: no JSON")


def test_what_json_cannot_say_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(tmp_path, DETECT, lambda status: None)
    monkeypatch.setattr(training, "_call", lambda *_: {"metrics": {"AP": float("nan")}})
    training.begin(tmp_path, minutes=0.1, model="ssd", weights=None, device="cpu")
    status = training.wait()
    assert (status.state, status.metric, status.after) == ("done", "AP", None)
    json.dumps(status.record(), allow_nan=False)


def test_what_lacks_a_class_that_was_added_is_trained_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be measured on pictures with a class that it has not; there is nothing before, then."""
    training = Training(tmp_path, DETECT, lambda status: None)
    monkeypatch.setattr("delineate.label.training.what_begins", lambda *_: ("ssd", []))

    def call(words: list[str], _: Path) -> dict[str, object]:
        if words[0] == "val":
            raise InputError("classes: bird is none of the model's")
        return {"metrics": {"AP": 0.5}}

    monkeypatch.setattr(training, "_call", call)
    training.begin(tmp_path, minutes=0.1, model=None, weights=tmp_path, device="cpu")
    status = training.wait()
    assert (status.state, status.before, status.after) == ("done", None, 0.5)


def test_the_curve_of_a_training_is_its_runs(tmp_path: Path) -> None:
    training = Training(tmp_path, DETECT, lambda status: None)
    training._status = Status(state="running", run="run-1")
    folder = tmp_path / RUNS / "run-1"
    folder.mkdir(parents=True)
    rows = [f"{epoch},{'nan' if epoch == 7 else 1000 - epoch}" for epoch in range(500)]
    (folder / "metrics.csv").write_text("\n".join(["epoch,loss", *rows]) + "\n")
    losses = training.status.losses
    assert 150 < len(losses) <= 200
    assert (losses[-1], sorted(losses, reverse=True)) == (501, list(losses))


def test_a_training_can_be_stopped(tmp_path: Path) -> None:
    labels = marked(tmp_path, Held())
    labels._model = "ssd"
    labels.begin_training(60.0)
    time.sleep(1)
    labels.training.stop()
    assert labels.training.status.state == "none"
    labels.close()


def test_what_is_trained_is_of_the_task(tmp_path: Path) -> None:
    training = Training(tmp_path, SEGMENT, lambda status: None)
    with pytest.raises(InputError, match="ssd is of the task detect, and this is segment"):
        training.begin(tmp_path, minutes=1.0, model="ssd", weights=None, device="cpu")
    assert weights_of(tmp_path / "gone", SEGMENT) is None
