"""A real server: signals, and processes that are killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest
from tests.serve.serving import LOW, mask_rcnn, picture, record, same

from delineate.serve import running
from delineate.serve.metrics import FOLDER
from delineate.values import InputError

PREDICT = "/v2/models/cells/predict"


@contextmanager
def served(*arguments: object, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start `delineate serve` at a free port; gives the process and the address, once it answers."""
    command = [sys.executable, "-m", "delineate", "serve", *map(str, arguments), "--port", "0", "--device", "cpu"]
    with log.open("wb") as err, subprocess.Popen(command, stderr=err) as process:
        try:
            yield process, _address(process, log)
        finally:
            for child in psutil.Process(process.pid).children() if process.poll() is None else ():
                child.kill()
            process.kill()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(1200):
        assert process.poll() is None, log.read_text()
        found = re.search(r"http://127.0.0.1:\d+", log.read_text())
        if found and _lives(found[0]):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _lives(address: str) -> bool:
    try:
        return httpx.get(f"{address}/v2/health/live", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def ask(address: str, data: bytes) -> httpx.Response:
    return httpx.post(f"{address}{PREDICT}", params={"min_score": LOW}, content=data, timeout=60)


def test_a_name_that_is_no_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(InputError, match="host: 'nowhere' is no address of this machine"):
        running.run_server(lambda: pytest.fail("it is not made"), host="nowhere")


def test_what_several_processes_counted_is_gone_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[str] = []

    class Supervisor:
        def __init__(self, *_: object) -> None: ...

        def run(self) -> None:
            folders.append(os.environ[FOLDER])

    monkeypatch.setattr(running, "_Supervisor", Supervisor)
    running.run_server(lambda: pytest.fail("others make it"), port=0, processes=2, announce=folders.append)
    assert folders[0].startswith("http://127.0.0.1:")
    assert FOLDER not in os.environ
    assert not Path(folders[1]).exists()


def test_one_process_loads_again_and_finishes_what_it_took(tmp_path: Path) -> None:
    run, log = mask_rcnn(tmp_path / "cells"), tmp_path / "log"
    pictures = [picture(200, 260 + seed, seed) for seed in range(8)]
    with served(run, log=log) as (process, address):
        assert same(ask(address, pictures[0]).json(), record(run, pictures[0], min_score=LOW))
        first = ask(address, pictures[0]).headers["model-version"]
        mask_rcnn(run, seed=1)
        process.send_signal(signal.SIGHUP)
        while ask(address, pictures[0]).headers["model-version"] == first:
            time.sleep(0.05)
        expected = [record(run, data, min_score=LOW) for data in pictures]
        with ThreadPoolExecutor(8) as clients:
            answers = [clients.submit(ask, address, data) for data in pictures]
            while not any(answer.done() for answer in answers):
                time.sleep(0.002)
            process.send_signal(signal.SIGTERM)
            for answer, one in zip(answers, expected, strict=True):
                try:
                    assert same(answer.result().json(), one)
                except httpx.ConnectError:  # it came when nobody was let in any more
                    assert process.poll() is not None or answer is not answers[0]
        assert process.wait(30) in (0, -signal.SIGTERM)
    assert "Traceback" not in log.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_process_that_is_killed_is_replaced_while_the_others_answer(tmp_path: Path) -> None:
    run, log = mask_rcnn(tmp_path / "cells"), tmp_path / "log"
    data = picture()
    expected = record(run, data, min_score=LOW)
    with served(f"cells={run}", "--processes", 2, log=log) as (process, address):
        workers = _workers(process.pid, 2)
        os.kill(workers[0], signal.SIGKILL)
        right = 0
        for _ in range(20):
            try:
                answer = ask(address, data)
            except httpx.TransportError:  # the connection was the killed one's
                continue
            assert same(answer.json(), expected)
            right += 1
        assert right >= 18
        assert workers[0] not in _workers(process.pid, 2)
        metrics = httpx.get(f"{address}/metrics", timeout=30).text
        assert re.search(r'delineate_requests_total\{method="POST",route="predict",status="200"\} \d', metrics)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "died" in log.read_text()


def _workers(pid: int, count: int) -> list[int]:
    """The processes that serve, once there are so many."""
    for _ in range(600):
        serving = [child.pid for child in psutil.Process(pid).children() if _serves(child)]
        if len(serving) == count:
            return serving
        time.sleep(0.1)
    raise AssertionError(f"{len(serving)} processes instead of {count}")


def _serves(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one, too
        return False
