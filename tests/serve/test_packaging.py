"""What starts a server elsewhere says what this version understands, and nobody is root."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from delineate.cli.app import app
from delineate.serve import Limits
from delineate.serve.guards import OPEN

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
UNIT, DOCKERFILE = PACKAGING / "delineate.service", (PACKAGING / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def options() -> dict[str, Any]:
    """The options of `delineate serve`, by their flags."""
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {flag: option for option in command.params for flag in option.opts if flag.startswith("--")}


def extras(text: str, before: str) -> set[str]:
    """What is installed with the package, as in `before[serve,export]`."""
    return {name for found in re.findall(re.escape(before) + r"\[([\w,]+)\]", text) for name in found.split(",")}


def shell(text: str) -> str:
    """The commands of a comment, or of a code block, each in one line."""
    return re.sub(r"\s+", " ", re.sub(r"\\\n#? *", "", re.sub(r"^# {3}", "", text, flags=re.MULTILINE)))


def test_the_unit_starts_and_ends_a_server() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    _, command, *arguments = shlex.split(service["ExecStart"])
    assert command == "serve"
    assert {word for word in arguments if word.startswith("--")} <= set(options())
    assert service["DynamicUser"] == "yes"
    timeout = float(arguments[arguments.index("--timeout") + 1])
    assert timeout == Limits().seconds
    assert int(service["TimeoutStopSec"]) > timeout + 5
    assert "HUP" in service["ExecReload"]
    text = UNIT.read_text(encoding="utf-8")
    assert "serve" in extras(text, "delineate") <= set(PROJECT["optional-dependencies"])
    assert options()["--token"].envvar in text


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze on this machine")
    there = UNIT.read_text(encoding="utf-8").replace("/opt/delineate/bin/delineate", sys.executable)
    (tmp_path / UNIT.name).write_text(there, encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / UNIT.name], capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if UNIT.stem in line] == []


def test_the_image_serves_by_an_ordinary_user() -> None:
    user = re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE)
    assert user == ["delineate"]
    assert DOCKERFILE.index("pip install") < DOCKERFILE.index("USER delineate") < DOCKERFILE.index("ENTRYPOINT")
    assert 'ENTRYPOINT ["delineate", "serve"]' in DOCKERFILE
    assert PROJECT["scripts"]["delineate"]
    assert "HF_HUB_OFFLINE=1" in DOCKERFILE


def test_the_image_is_made_of_what_is_there() -> None:
    ((minor,),) = [re.findall(r"^FROM python:3\.(\d+)-slim-[a-z]+$", DOCKERFILE, re.MULTILINE)]
    assert PROJECT["requires-python"] == ">=3.11"
    assert int(minor) >= 11
    assert {"serve", "export"} == extras(DOCKERFILE, "/src") <= set(PROJECT["optional-dependencies"])
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    assert {"pyproject.toml", "src", PROJECT["readme"], *PROJECT["license-files"]} == copied
    assert all((ROOT / name).exists() for name in copied)
    sent = (PACKAGING / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    assert set(re.findall(r"^!(\S+)$", sent, re.MULTILINE)) == copied


def test_the_image_is_run_as_the_docs_say_and_its_health_is_asked_where_it_serves() -> None:
    (run,) = re.findall(r"docker run .* --host 0\.0\.0\.0", shell(DOCKERFILE))
    assert run in shell((ROOT / "docs" / "serving.md").read_text(encoding="utf-8"))
    flags = {word for word in run.rpartition(" delineate ")[2].split() if word.startswith("--")}
    assert flags <= set(options())
    assert f"-e {options()['--token'].envvar}" in run
    assert int(re.findall(r"--stop-timeout (\d+)", run)[0]) > Limits().seconds + 5
    port = str(options()["--port"].default)
    assert re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE) == [port]
    assert re.findall(r"-p 127\.0\.0\.1:\d+:(\d+)", run) == [port]
    ((asked, path),) = re.findall(r"urlopen\('http://127\.0\.0\.1:(\d+)([\w/]+)'", DOCKERFILE)
    assert asked == port
    assert path in OPEN, "it needs no token"
