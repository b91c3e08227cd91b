"""Numbers of a run go to the trackers that teams have, and a tracker that fails stops nothing."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from delineate.training import Run, TrainingSettings, resume, tracking, train
from delineate.values import InputError


@pytest.fixture
def settings(small: dict[str, Any]) -> dict[str, Any]:
    return {**small, "epochs": 2, "logger": "mlflow"}


@pytest.fixture
def mlflow_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow keeps what it is told in files."""
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'delineate[mlflow]'")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient

    return MlflowClient()


def test_mlflow_has_the_settings_and_numbers_of_a_run(settings: dict[str, Any], mlflow_files: Any) -> None:
    folder = train(TrainingSettings(**settings)).folder
    kept = json.loads((folder / "tracking.json").read_text())["mlflow"]
    run = mlflow_files.get_run(kept)
    assert mlflow_files.get_experiment(run.info.experiment_id).name == "delineate"
    assert [run.info.run_name, run.info.status] == ["run", "FINISHED"]
    assert [run.data.params[name] for name in ("model", "batch_size", "width")] == ["fcn_full_resolution", "2", "4"]
    history = mlflow_files.get_metric_history(kept, "epoch/mIoU")
    rows = Run(folder).read_metrics()
    assert [metric.value for metric in history] == pytest.approx([row["mIoU"] for row in rows])
    assert [metric.step for metric in history] == [6, 12]
    assert "loss" in run.data.metrics


def test_a_resumed_run_goes_on_there(
    settings: dict[str, Any], mlflow_files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from delineate.training import loop

    def stopped(*arguments: Any) -> Any:
        if arguments[0].state.epoch == 1:
            raise KeyboardInterrupt
        return step(*arguments)

    step = loop.step
    monkeypatch.setattr(loop, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(TrainingSettings(**settings))
    monkeypatch.setattr(loop, "step", step)
    folder = resume(settings["out"]).folder
    kept = json.loads((folder / "tracking.json").read_text())["mlflow"]
    assert [metric.step for metric in mlflow_files.get_metric_history(kept, "epoch/mIoU")] == [6, 12]
    runs = mlflow_files.search_runs([mlflow_files.get_run(kept).info.experiment_id])
    assert [run.info.run_id for run in runs] == [kept]


def test_wandb_takes_the_numbers(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library is stood in for: it would start a process, and write in its own format."""
    told: list[Any] = []

    class Told:
        id = "abc"

        def log(self, numbers: dict[str, float], step: int) -> None:
            told.append((step, numbers))

        def finish(self) -> None:
            told.append("finished")

    class Library:
        @staticmethod
        def init(**options: Any) -> Told:
            told.append(options)
            return Told()

    monkeypatch.setitem(sys.modules, "wandb", Library)
    monkeypatch.setattr(tracking, "find_spec", lambda _: True)
    monkeypatch.setenv("WANDB_PROJECT", "cells")
    folder = train(TrainingSettings(**{**settings, "logger": "wandb"})).folder
    options, *logged, end = told
    assert [options[name] for name in ("project", "name", "id", "resume")] == ["cells", "run", None, None]
    assert options["config"]["model"] == "fcn_full_resolution"
    assert [step for step, numbers in logged if "epoch/mIoU" in numbers] == [6, 12]
    assert end == "finished"
    assert json.loads((folder / "tracking.json").read_text()) == {"wandb": "abc"}


def test_training_goes_on_without_a_tracker_that_fails(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing:
        id = "a"

        def log(self, *_: Any) -> None:
            raise ConnectionError("no server\nat all")

    monkeypatch.setattr(tracking, "find_spec", lambda _: True)
    monkeypatch.setitem(tracking.TRACKERS, "mlflow", lambda *_: Failing())
    assert len(Run(train(TrainingSettings(**settings)).folder).read_metrics()) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "logger" in line]
    assert said == ["logger: mlflow fails (no server); training goes on without it"]


def test_a_tracker_that_is_not_installed_is_said_before_the_folder_is_made(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"logger: mlflow is not installed; pip install 'delineate\[mlflow\]'"):
        train(TrainingSettings(**settings))
    assert not settings["out"].exists()
