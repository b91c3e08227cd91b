"""`delineate label` from the outside: a folder of bare pictures, a page, a kill, and the same page again."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from tests.label.folders import DONE, put, raw

from delineate.data import read_dataset


@contextmanager
def labelling(folder: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start the server on a free port, and give its address."""
    command = [sys.executable, "-m", "delineate", "label", str(folder), "--port", "0", "--device", "cpu", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": ""})
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"http://\S+?(?=/;|/\s|/$)", line):
                _wait(found.group())
                yield process, found.group()
                break
        else:
            pytest.fail("it said no address")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _wait(address: str) -> None:
    """The address is said when the port is taken, a moment before it is listened at."""
    for _ in range(100):
        try:
            ask(address, "/v2/health/ready")
        except URLError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("it does not answer")


def ask(address: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(address + path, data, {"Content-Type": "application/json"}), timeout=20) as answer:
        return json.loads(answer.read())


def test_a_killed_server_loses_nothing_and_ends_with_a_data_set(tmp_path: Path) -> None:
    raw(tmp_path)
    with labelling(tmp_path, "--classes", "disk, box", "--first-after", "0") as (process, address):
        number = ask(address, "/api/pictures?order=name")["pictures"][0]["id"]
        edits = {"version": 0, "client": "me", "edits": [put("one", "box"), DONE]}
        assert ask(address, f"/api/pictures/{number}/edits", edits) == {"version": 1}
        process.kill()
        process.wait()
    with labelling(tmp_path) as (process, address):
        session = ask(address, "/api/session")
        assert (session["classes"], session["counts"]["done"]) == (["disk", "box"], 1)
        assert ask(address, f"/api/pictures/{number}")["objects"][0]["label"] == "box"
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    dataset = read_dataset(tmp_path, "train")
    assert [target.labels.tolist() for target in (dataset[row].target for row in range(len(dataset)))] == [[1]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no such folder"),
        (["FOLDER"], "say --classes cat,dog"),
        (["FOLDER", "--classes", "a", "--task", "keypoints"], "--keypoints nose,tail"),
        (["FOLDER", "--classes", "a", "--keypoints", "x,y", "--skeleton", "x-z"], "'x-z' is not two of the keypoints"),
        (["FOLDER", "--run", "nowhere"], "no such run"),
        (["FOLDER", "--classes", "a", "--token", "short"], "token"),
    ],
)
def test_mistakes_are_one_line(delineate: Callable[..., Any], tmp_path: Path, arguments: list[str], said: str) -> None:
    raw(tmp_path, 2)
    words = [str(tmp_path) if word == "FOLDER" else word for word in arguments]
    assert said in delineate("label", *words, "--port", "0").mistake
