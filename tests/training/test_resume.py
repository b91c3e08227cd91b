"""Killed at any step and resumed, a run ends as if it had not been."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from delineate.structures import InputError
from delineate.training import Run, TrainingSettings, recorder, resume, train
from delineate.training.state import State

PROCESS = Path(__file__).with_name("tiny_process.py")
STEPS = 4 * 6


class Killed(Exception):
    pass


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(PROCESS), *arguments], stderr=subprocess.PIPE, text=True
    )


def stop_within(process: subprocess.Popen[str], run: Run, number: signal.Signals, after: int) -> tuple[State, str]:
    """Stop the process once `after` steps are saved; the state that it left and what it said."""
    deadline = time.monotonic() + 60
    while (state := saved_state(run)).step < after:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == -number, said
    return saved_state(run), said


def saved_state(run: Run) -> State:
    saved = run.load_state()
    return State() if saved is None else State(**saved["state"])


def without_times(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in history]


def assert_same(one: Run, other: Run) -> None:
    for name in ("best.safetensors", "last.safetensors"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
    assert without_times(one.read_metrics()) == without_times(other.read_metrics())


def test_a_process_that_was_interrupted_and_killed_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    runs = {name: Run(tmp_path / name) for name in ("whole", "stopped")}
    settings = {"model": "tiny", "data": str(data), "batch_size": 2, "epochs": 4, "workers": 1}
    whole, stopped = (
        start(seconds, "train", json.dumps({**settings, "out": str(runs[name].folder)}))
        for name, seconds in (("whole", "1000"), ("stopped", "0"))
    )
    interrupted, said = stop_within(stopped, runs["stopped"], signal.SIGINT, after=3)
    assert 0 < interrupted.step < STEPS
    assert f"--resume {runs['stopped'].folder}" in said
    assert runs["stopped"].best.exists()
    assert runs["stopped"].last.exists()

    # saves lie apart now, so that this kill falls behind the last of them
    stopped = start("0.1", "resume", str(runs["stopped"].folder))
    killed, _ = stop_within(stopped, runs["stopped"], signal.SIGKILL, after=interrupted.step + 3)
    assert interrupted.step < killed.step < STEPS
    assert not killed.finished

    stopped = start("1000", "resume", str(runs["stopped"].folder))
    for process in (whole, stopped):
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, said
    assert saved_state(runs["stopped"]).step == STEPS
    assert_same(*runs.values())


@pytest.mark.parametrize("changes", [{}, {"accumulate": 4}, {"optimizer": "sgd", "ema": None}], ids=str)
@pytest.mark.parametrize("batch", [1, 4, 5, 6, 9, 12])
def test_every_place_to_go_on_from_leads_to_the_same_end(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, changes: dict[str, Any]
) -> None:
    settings = {**small, **changes, "epochs": 2, "schedule": "poly"}
    whole = train(TrainingSettings(**settings))
    monkeypatch.setattr(recorder, "SAVE_EVERY", 0.0)
    loss_of = recorder.TrainingModule.training_step
    left = batch

    def dies(*arguments: Any) -> torch.Tensor:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return loss_of(*arguments)

    monkeypatch.setattr(recorder.TrainingModule, "training_step", dies)
    out = tmp_path / "killed"
    if batch < 12:
        with pytest.raises(Killed):
            train(TrainingSettings(**{**settings, "out": out}))
    else:
        train(TrainingSettings(**{**settings, "out": out}))
    left = 1000
    again = resume(out)
    assert_same(Run(whole.folder), Run(out))
    assert again.metrics == whole.metrics
    assert again.pictures == whole.pictures == 24
    if batch == 6 and not changes:
        assert saved_state(Run(out)).finished


def test_a_run_killed_in_its_validation_validates_first(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(TrainingSettings(**small, epochs=2))
    monkeypatch.setattr(recorder, "SAVE_EVERY", 0.0)
    count = recorder.count_confusion

    def dies(*arguments: Any, **keywords: Any) -> torch.Tensor:
        raise Killed

    monkeypatch.setattr(recorder, "count_confusion", dies)
    out = tmp_path / "killed"
    with pytest.raises(Killed):
        train(TrainingSettings(**{**small, "out": out}, epochs=2))
    assert (saved_state(Run(out)).epoch, saved_state(Run(out)).batch) == (0, 6)
    monkeypatch.setattr(recorder, "count_confusion", count)
    resume(out)
    assert_same(Run(whole.folder), Run(out))


def test_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run, there is no settings\.json"):
        resume(tmp_path)
    (tmp_path / "settings.json").write_text('{"model": "unet", "data": "x", "epoch": 3}')
    with pytest.raises(InputError, match=r"settings\.json: epoch: "):
        resume(tmp_path)
