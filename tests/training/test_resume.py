"""Killed at any step and resumed, a run ends as if it had not been."""

import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from delineate.system.system import System
from delineate.training import Run, TrainingSettings, loop, outputs, recording, resume, train, validation
from delineate.training.state import State
from delineate.values import InputError

PROCESS = Path(__file__).with_name("tiny_process.py")
STEPS = 4 * 6
Die = Callable[[str, int], None]
OWNERS = {"step": loop, "tally": validation}


class KilledError(Exception):
    pass


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(PROCESS), *arguments], stderr=subprocess.PIPE, text=True
    )


def kill(process: subprocess.Popen[str], run: Run, after: int) -> State:
    """Kill the process once `after` steps are saved; the state that it left."""
    deadline = time.monotonic() + 300
    while saved_state(run).step < after:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.03)
    process.kill()
    process.communicate(timeout=60)  # its workers end, too
    assert process.returncode == -signal.SIGKILL
    return saved_state(run)


def saved_state(run: Run) -> State:
    saved = run.load_state()
    return State() if saved is None else State(**saved["state"])


def without_times(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in history]


def assert_same(one: Run, other: Run) -> None:
    for name in ("best.safetensors", "last.safetensors"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
    assert without_times(one.read_metrics()) == without_times(other.read_metrics())


def test_a_process_that_was_killed_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    runs = {name: Run(tmp_path / name) for name in ("whole", "killed")}
    settings = {"model": "tiny", "data": str(data), "batch_size": 2, "epochs": 4, "workers": 1}
    # the saves lie apart, so that the kill falls behind the last of them
    whole, killed = (
        start(seconds, "train", json.dumps({**settings, "out": str(runs[name].folder)}))
        for name, seconds in (("whole", "1000"), ("killed", "0.1"))
    )
    state = kill(killed, runs["killed"], after=random.randrange(4, 18))
    assert 4 <= state.step < STEPS
    assert not state.finished
    resumed = start("1000", "resume", str(runs["killed"].folder))
    for process in (whole, resumed):
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors
    assert saved_state(runs["killed"]).step == STEPS
    assert_same(*runs.values())


@pytest.fixture
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs.Outputs, "draw", lambda *arguments: None)


@pytest.fixture
def die_in(monkeypatch: pytest.MonkeyPatch) -> Die:
    """Make a step of training or validation fail when it is called for the nth time, once; every step is saved."""

    def install(what: str, time: int) -> None:
        owner = OWNERS[what]
        works, calls = getattr(owner, what), itertools.count(1)

        def dies(*arguments: Any, **keywords: Any) -> Any:
            if next(calls) == time:
                raise KilledError
            return works(*arguments, **keywords)

        monkeypatch.setattr(owner, what, dies)
        monkeypatch.setattr(recording, "SAVE_EVERY", 0.0)

    return install


@pytest.mark.usefixtures("_without_pictures")
@pytest.mark.parametrize(
    ("what", "time", "saved", "changes"),
    [
        ("step", 1, 0, {}),
        ("step", 2, 1, {}),
        ("step", 7, 6, {"ema": None}),
        ("step", 9, 8, {"optimizer": "sgd", "schedule": "poly"}),
        ("step", 6, 4, {"accumulate": 4}),
        ("step", 12, 10, {"accumulate": 4, "precision": "bf16"}),
        ("tally", 1, 6, {}),
        ("tally", 2, 12, {}),
    ],
    ids=str,
)
def test_from_every_place_a_run_ends_the_same(
    small: dict[str, Any],
    tmp_path: Path,
    die_in: Die,
    what: str,
    time: int,
    saved: int,
    changes: dict[str, Any],
) -> None:
    """`saved` is the number of batches in the last state that was saved before the end."""
    settings = {**small, **changes, "epochs": 2}
    whole = train(TrainingSettings(**settings))
    die_in(what, time)
    out = tmp_path / "killed"
    with pytest.raises(KilledError):
        train(TrainingSettings(**{**settings, "out": out}))
    state = saved_state(Run(out))
    assert 6 * state.epoch + state.batch == saved
    again = resume(out)
    assert_same(Run(whole.folder), Run(out))
    assert again.metrics == whole.metrics
    assert again.pictures == whole.pictures == 24


@pytest.mark.usefixtures("_without_pictures")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["step", "tally"])
def test_ctrl_c_leaves_a_run_to_use_and_to_go_on_with(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str, number: int
) -> None:
    owner = OWNERS[where]
    works = getattr(owner, where)

    def interrupted(*arguments: Any, **keywords: Any) -> Any:
        signal.raise_signal(number)
        return works(*arguments, **keywords)

    run = Run(small["out"])
    monkeypatch.setattr(owner, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(TrainingSettings(**small, epochs=1))
    monkeypatch.setattr(owner, where, works)
    assert capsys.readouterr().err.splitlines()[-1] == f"stopped; to go on: delineate train --resume {run.folder}"
    assert saved_state(run).batch == {"step": 1, "tally": 6}[where]
    assert System.load(run.best).metrics == System.load(run.last).metrics == {}
    again = resume(run.folder)
    assert again.pictures == 12
    assert "mIoU" in again.metrics


@pytest.mark.usefixtures("_without_pictures")
def test_a_complete_run_is_left_as_it_is(small: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    whole = train(TrainingSettings(**small, epochs=1))
    before = Run(whole.folder).last.stat().st_mtime_ns
    assert resume(whole.folder) == whole
    assert "complete" in capsys.readouterr().err
    assert Run(whole.folder).last.stat().st_mtime_ns == before


@pytest.mark.usefixtures("_without_pictures")
def test_data_that_changed_in_between_says_so(small: dict[str, Any], tmp_path: Path, die_in: Die) -> None:
    root = tmp_path / "data"
    shutil.copytree(small["data"], root)
    die_in("step", 4)
    with pytest.raises(KilledError):
        train(TrainingSettings(**{**small, "data": root}, epochs=1))
    for kind in ("images", "labels"):
        for number in range(4):
            (root / kind / "train" / f"{number}.png").unlink()
    with pytest.raises(InputError, match="an epoch has 4 batches now and had 6 when the run was stopped"):
        resume(small["out"])


@pytest.fixture
def stopped(small: dict[str, Any], tmp_path: Path, die_in: Die) -> Path:
    """The data of a run that died in its fourth step, with which it may go on."""
    shutil.copytree(small["data"], tmp_path / "data")
    die_in("step", 4)
    with pytest.raises(KilledError):
        train(TrainingSettings(**{**small, "data": tmp_path / "data"}, epochs=1))
    return tmp_path / "data"


@pytest.mark.usefixtures("_without_pictures")
@pytest.mark.parametrize(
    ("names", "first"),
    [
        ("red\nblue\ngreen\n", "1 is 'green' where trained and 'blue' in "),
        ("red\ngreen\nblue\nnew\n", "3 is no class where trained and 'new' in "),
    ],
)
def test_a_run_does_not_go_on_with_other_names(small: dict[str, Any], stopped: Path, names: str, first: str) -> None:
    (stopped / "classes.txt").write_text(names)
    with pytest.raises(
        InputError, match=f"^class names: {first}.*; give the data its names back, .* --weights {small['out']}$"
    ):
        resume(small["out"])


@pytest.mark.usefixtures("_without_pictures")
def test_a_run_goes_on_with_what_it_saw_and_says_what_is_new(
    small: dict[str, Any], stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stopped / "images" / "train" / "12.png").unlink()
    (stopped / "labels" / "train" / "12.png").unlink()
    run = Run(small["out"])
    saved = run.load_state()
    assert saved is not None
    run.save_state({**saved, "preprocess": {**saved["preprocess"], "mean": (0.1, 0.2, 0.3)}})
    resume(small["out"])
    assert "data: 12 pictures to train on now, 13 when the run was stopped" in capsys.readouterr().err
    assert System.load(run.last).preprocess.mean == (0.1, 0.2, 0.3)


@pytest.mark.usefixtures("_without_pictures")
def test_what_failed_before_anything_was_saved_can_begin_again(
    small: dict[str, Any], die_in: Die, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = TrainingSettings(**small, epochs=1)
    die_in("step", 1)
    with pytest.raises(KilledError):
        train(settings)
    capsys.readouterr()
    resumed = resume(small["out"])
    assert f"{small['out']}: nothing was saved yet; it begins from the start" in capsys.readouterr().err
    weights = Run(resumed.folder).last.read_bytes()
    for file in ("resume.ckpt", "best.safetensors", "last.safetensors"):
        (small["out"] / file).unlink()
    train(settings)
    assert f"{small['out']}: an earlier run stopped before anything was saved; it begins again" in (
        capsys.readouterr().err
    )
    assert Run(resumed.folder).last.read_bytes() == weights


@pytest.mark.usefixtures("_without_pictures")
def test_what_is_given_beside_a_run_has_to_be_its_own(small: dict[str, Any]) -> None:
    whole = train(TrainingSettings(**small, epochs=1))
    own = {"model": "fcn_full_resolution", "data": str(small["data"]), "arguments": {"depth": 2}, "epochs": 1}
    assert resume(whole.folder, **own, ema=0.998) == whole
    for changes, line in (
        ({"epochs": 3}, "^epochs: 3 is given, and .* has 1; a run goes on as it began: leave it out, or begin"),
        ({"model": "unet"}, "^model: unet is given"),
        ({"arguments": {"width": 8}}, "^width: 8 is given, and .* has 4"),
        ({"data": "elsewhere"}, "^data: "),
        ({"minutes": 2}, "^minutes: 2.0 is given, and .* has none"),
    ):
        with pytest.raises(InputError, match=line):
            resume(whole.folder, **changes)


def test_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run, there is no settings\.json"):
        resume(tmp_path)
    (tmp_path / "settings.json").write_text('{"model": "unet", "data": "x", "epoch": 3}')
    with pytest.raises(InputError, match=r"settings\.json: epoch: "):
        resume(tmp_path)
