import json
import time
from pathlib import Path

import pytest
from tests.label.folders import DONE, Held, opened, put, raw
from tests.models.systems import pictures

from delineate.data import read_dataset
from delineate.label import Labels
from delineate.label.training import RUNS, Status, Training, weights_of
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


def waited(training: Training) -> Status:
    assert training._thread is not None
    training._thread.join(120)
    return training.status


def test_a_first_model_is_trained_and_goes_on(tmp_path: Path) -> None:
    models, heard = Held(), []
    labels = marked(tmp_path, models)
    labels._model = "ssd"
    labels.events.listen(heard.append)
    assert labels.begin_training(0.02).state == "running"
    with pytest.raises(InputError, match="one goes on already"):
        labels.begin_training(0.02)
    status = waited(labels.training)
    assert status.error is None
    assert models.names() == ["labels"]  # there was none: it is used at once
    assert {"kind": "model", "name": "labels"} in heard
    settings = json.loads((tmp_path / RUNS / "run-1" / "settings.json").read_text())
    assert (settings["model"], settings["data"]) == ("ssd", str(tmp_path))
    assert len(read_dataset(tmp_path, "val")) == 2

    labels.begin_training(0.02)
    status = waited(labels.training)
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
    assert waited(training).state == "failed"
    assert "there is no such folder" in str(training.status.error)
    assert [status.state for status in statuses] == ["running", "failed"]


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
