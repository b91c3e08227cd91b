import inspect
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from delineate.cli.serve import Serving, serve
from delineate.serve import Limits, running


def test_mistakes_are_one_line(delineate: Callable, detector: Path, trained: Path, tmp_path: Path) -> None:
    assert "no such run" in delineate("serve", tmp_path / "nothing").mistake
    assert delineate("serve", detector, f"detector={trained}").mistake.startswith("detector: two runs have this name")
    assert delineate("serve", detector, "--token", "short").mistake.startswith("token: ")
    assert delineate("serve", detector, "--queue", 3).mistake.startswith("queue: 3 is less than the 16 pictures")
    assert delineate("serve", detector, "--data", tmp_path, "--processes", 2).mistake.startswith("processes: ")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert delineate("serve", detector, "--port", port).mistake.startswith(
            f"port: 127.0.0.1:{port} is not to be had"
        )
    assert delineate("serve", f"a/b={detector}", "--port", 0).mistake.startswith("name: 'a/b' cannot stand")


def test_defaults_are_those_of_python() -> None:
    given = {name: parameter.default for name, parameter in inspect.signature(serve).parameters.items()}
    limits = Limits()
    assert given["queue"] == limits.queue
    assert given["max_bytes"] == limits.num_bytes
    assert given["max_pixels"] == limits.num_pixels
    assert given["max_pictures"] == limits.num_pictures
    assert given["timeout"] == limits.seconds


def test_what_is_said_becomes_the_application(
    delineate: Callable, detector: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Serving] = []

    def run_server(make: Serving, *, announce: Callable[[str], None], **options: object) -> None:
        seen.append(make)
        announce("http://127.0.0.1:1")
        assert options == {"host": "0.0.0.0", "port": 7, "processes": 1, "seconds": 9.0}

    monkeypatch.setattr(running, "run_server", run_server)
    call = ["serve", detector, f"roads={trained}", "--host", "0.0.0.0", "--port", 7, "--timeout", 9, "--device", "cpu"]
    ended = delineate(*call, "--max-pixels", 1000, "--allow-host", "cells.example.org", "--workers", 1)
    assert ended.code == 0
    [serving] = seen
    assert serving.token is not None
    assert f"detector, roads at http://127.0.0.1:1/?token={serving.token}" in ended.err
    app = serving()
    assert [route.path for route in app.routes if route.path == "/v2/models"]  # type: ignore[attr-defined]
    assert serving.hosts == ("cells.example.org",)
    assert serving.options["limits"] == Limits(num_pixels=1000, seconds=9.0)


def test_the_scores_that_were_calibrated_are_said(
    delineate: Callable, detector: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(detector, tmp_path / "cells")
    assert delineate("calibrate", tmp_path / "cells", data, "--split", "train", "--workers", 0).code == 0
    monkeypatch.setattr(running, "run_server", lambda make, **options: None)
    said = delineate("serve", tmp_path / "cells").err
    assert "cells: objects are taken from scores of" in said
    assert "a request's min_score overrides" in said


def test_the_variable_gives_the_token(delineate: Callable, detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELINEATE_TOKEN", "0123456789abcdefgh")
    monkeypatch.setattr(running, "run_server", lambda make, **options: options["announce"]("http://127.0.0.1:1"))
    assert "?token=0123456789abcdefgh" in delineate("serve", detector).err
