"""The stage after gradient descent, by R-CNN's SVMs."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from delineate.data import synthesise
from delineate.evaluation import evaluate_run
from delineate.models.contract import Batches, Say
from delineate.models.two_stage import TwoStageDetector
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.training import Run, TrainingSettings, resume, train
from delineate.training.outputs import Outputs
from delineate.training.state import State
from delineate.values import InputError


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapes") / "data"
    synthesise(root, num_images=8, image_size=(64, 80), splits={"train": 0.75, "val": 0.25})
    return root


@pytest.fixture
def settings(shapes: Path, tmp_path: Path) -> TrainingSettings:
    arguments = {"backbone": "resnet10t", "warp_size": 32, "num_rois": 16, "max_proposals": 50}
    return TrainingSettings(
        model="rcnn", arguments=arguments, data=shapes, out=tmp_path / "run", batch_size=3, epochs=1, workers=0
    )


def state_of(run: Run) -> State:
    saved = run.load_state()
    assert saved is not None
    return State(**saved["state"])


def test_svms_are_fitted_after_the_epochs_and_a_complete_run_says_so(
    settings: TrainingSettings, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(settings)
    errors = capsys.readouterr().err
    assert "fitting to the training pictures" in errors
    assert "hard negatives added in pass 1" in errors
    run = Run.open(result.folder)
    best, last = (System.load(file) for file in (run.best, run.last))
    assert isinstance(best.model, TwoStageDetector)
    assert best.model.box_head.one_vs_rest
    assert all(torch.equal(value, last.model.state_dict()[name]) for name, value in best.model.state_dict().items())

    before, after = run.read_metrics()
    assert {name: value for name, value in after.items() if name in result.metrics} == pytest.approx(result.metrics)
    assert best.metrics == result.metrics
    assert {"AP", "AP50"} < set(result.metrics)
    assert "fit_seconds" not in result.metrics
    assert after["fit_seconds"] > 0
    assert after["seconds"] == before["seconds"] == pytest.approx(result.seconds, abs=1e-3)
    assert evaluate_run(run.folder, shapes).metrics == pytest.approx(result.metrics)
    assert not any(path.name.startswith("tmp") for path in run.folder.iterdir())

    written = run.best.stat().st_mtime_ns
    assert resume(run.folder) == result
    assert capsys.readouterr().err == f"{run.folder}: this run is complete\n"
    assert run.best.stat().st_mtime_ns == written


def test_without_an_epoch_svms_are_fitted_to_what_the_run_begins_with(
    settings: TrainingSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The paper's first row: features that were not fine-tuned."""
    arguments = {**settings.arguments, "box_regression": False}
    result = train(settings.model_copy(update={"epochs": 0, "arguments": arguments}))
    errors = capsys.readouterr().err
    assert "fitting to the training pictures" in errors
    assert "each picture was seen" not in errors
    run = Run(result.folder)
    (row,) = run.read_metrics()
    assert {"AP", "AP50"} < set(result.metrics)
    assert row["pictures"] == result.pictures == 0
    fitted = System.load(run.best).model.state_dict()
    categories = System.load(run.best).categories
    torch.manual_seed(settings.seed)
    begun = build("rcnn", categories, **arguments).state_dict()
    differing = [name for name, value in begun.items() if not torch.equal(value, fitted[name])]
    assert differing == ["box_head.one_vs_rest", "box_head.classify.weight", "box_head.classify.bias"]
    assert resume(run.folder) == result


def test_without_an_epoch_nothing_else_can_be_learned(settings: TrainingSettings) -> None:
    softmax = {**settings.arguments, "classifier": "softmax"}
    with pytest.raises(InputError, match=r"^epochs: rcnn learns nothing in 0"):
        train(settings.model_copy(update={"epochs": 0, "arguments": softmax}))
    assert settings.out is not None
    assert not settings.out.exists()


@pytest.mark.parametrize("epochs", [1, 0])
def test_what_is_fitted_is_kept_without_validations_too(settings: TrainingSettings, epochs: int) -> None:
    result = train(settings.model_copy(update={"val_every": 0, "epochs": epochs}))
    run = Run(result.folder)
    assert (run.folder / "curves.png").exists() == (epochs > 0)
    assert (run.folder / "predictions.png").exists()
    assert result.metrics == {}
    model = System.load(run.best).model
    assert isinstance(model, TwoStageDetector)
    assert model.box_head.one_vs_rest
    assert "val_seconds" not in run.read_metrics()[-1]


def test_a_run_that_was_killed_while_fitting_fits_again(
    settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(TwoStageDetector, "fit", _killed)
        with pytest.raises(KilledError):
            train(settings)
    assert settings.out is not None
    run = Run.open(settings.out)
    softmax = System.load(run.best).model
    assert isinstance(softmax, TwoStageDetector)
    assert not softmax.box_head.one_vs_rest
    assert (state_of(run).finished, state_of(run).fitting) == (True, True)

    end_epoch = Outputs.end_epoch

    def written_and_killed(self: Outputs, model: Any, state: State) -> None:
        end_epoch(self, model, state)
        raise KilledError

    with monkeypatch.context() as patched:  # the weights are written, and the state is not
        patched.setattr(Outputs, "end_epoch", written_and_killed)
        with pytest.raises(KilledError):
            resume(run.folder)
    first = run.best.read_bytes()
    assert state_of(run).fitting
    capsys.readouterr()
    result = resume(run.folder)
    errors = capsys.readouterr().err
    assert "fitting to the training pictures" in errors
    assert "epoch 1" not in errors
    assert (state_of(run).fitting, state_of(run).fitted) == (False, True)
    assert len(run.read_metrics()) == 2
    assert System.load(run.best).metrics == result.metrics
    assert run.best.read_bytes() == first
    resume(run.folder)
    assert "this run is complete" in capsys.readouterr().err


def test_a_request_to_stop_is_met_while_fitting(
    settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = TwoStageDetector.fit

    def interrupted(self: TwoStageDetector, batches: Batches, folder: Path, say: Say) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        fit(self, batches, folder, say)

    monkeypatch.setattr(TwoStageDetector, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(settings)
    assert f"stopped; to go on: delineate train --resume {settings.out}" in capsys.readouterr().err
    assert settings.out is not None
    assert state_of(Run(settings.out)).fitting


def test_other_systems_have_no_such_stage(
    settings: TrainingSettings, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    softmax = settings.model_copy(update={"arguments": {**settings.arguments, "classifier": "softmax"}})
    result = train(softmax)
    assert "fitting" not in capsys.readouterr().err
    assert len(Run(result.folder).read_metrics()) == 1
    model = System.load(Run(result.folder).best).model
    assert isinstance(model, TwoStageDetector)
    assert not model.box_head.one_vs_rest


def _killed(self: TwoStageDetector, batches: Batches, folder: Path, say: Say) -> None:
    raise KilledError
