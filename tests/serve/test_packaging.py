"""What starts a server elsewhere says what this version understands, and nobody is root."""

import configparser
import re
import shlex
from pathlib import Path

import typer.main

from delineate.cli.app import app
from delineate.serve import Limits

PACKAGING = Path(__file__).parents[2] / "packaging"


def options() -> set[str]:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {flag for option in command.params for flag in option.opts if flag.startswith("--")}


def test_the_unit_starts_and_ends_a_server() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(PACKAGING / "delineate.service")
    service = unit["Service"]
    _, command, *arguments = shlex.split(service["ExecStart"])
    assert command == "serve"
    assert {word for word in arguments if word.startswith("--")} <= options()
    assert service["DynamicUser"] == "yes"
    timeout = float(arguments[arguments.index("--timeout") + 1])
    assert timeout == Limits().seconds
    assert int(service["TimeoutStopSec"]) > timeout + 5
    assert "HUP" in service["ExecReload"]


def test_the_image_serves_by_an_ordinary_user() -> None:
    text = (PACKAGING / "Dockerfile").read_text(encoding="utf-8")
    user = re.findall(r"^USER (\w+)$", text, re.MULTILINE)
    assert user == ["delineate"]
    assert text.index("USER delineate") < text.index("ENTRYPOINT")
    assert 'ENTRYPOINT ["delineate", "serve"]' in text
    assert "HF_HUB_OFFLINE=1" in text
    assert set(re.findall(r"delineate /models/cells (--\w+)", text)) <= options()
