"""What the documents say can be done: the README's Python runs, and the commands and options that are named exist.

The README's `DATA` and `photos/` are small here, and its minutes a fraction of a second; all else is as it stands.
"""

import io
import re
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import delineate
from delineate import training
from delineate.cli.app import ORDER, run
from delineate.data import Synthetic, synthesise
from delineate.system.catalog import CATALOG
from delineate.viz import write_picture

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"(?<!\S)--[a-z][a-z0-9-]*")


def blocks(document: Path, language: str = "") -> list[str]:
    """The fenced blocks of a document in a language; "" for those that name none."""
    return [text for name, text in BLOCK.findall(document.read_text(encoding="utf-8")) if name == language]


def inline_code(document: Path) -> list[str]:
    """What stands between single backticks, each on one line."""
    prose = BLOCK.sub("", document.read_text(encoding="utf-8"))
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]


def commands(document: Path) -> list[str]:
    """What follows `delineate` in every command line, in blocks and in the text.

    In a block variables may be set before it, or several processes started of it.

    A line that says `delineate` and then no word of ours, as a table's row, is none.
    """
    lines = [line for text in blocks(document) for line in text.replace("\\\n", " ").splitlines()]
    starts = [re.match(r"(?:\S+=\S+ |taskset -c \d+ |srun |torchrun .* -m )*delineate (.*)", line) for line in lines]
    starts += [re.match(r"delineate (.*)", code) for code in inline_code(document)]
    return [start[1] for start in starts if start]


LINES = [(document.name, line) for document in DOCUMENTS for line in commands(document)]


@cache
def known_options(*command: str) -> frozenset[str]:
    """The options in the help of a command, which must end well."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setenv("COLUMNS", "250")  # no name is cut short
        code = run([*command, "--help"])
    assert code == 0, f"delineate {' '.join(command)} --help"
    rows = re.findall(r"^│ [ *]*((?:-\S+ +)+)", printed.getvalue(), re.MULTILINE)
    return frozenset(OPTION.findall(" ".join(rows)))


def command_of(line: str) -> tuple[str, ...]:
    """The words that choose the help: the command, and the system that is trained."""
    first, *others = line.split()
    return (first, others[0]) if first == "train" and others and not others[0].startswith("-") else (first,)


@pytest.mark.parametrize("block", [*blocks(README, "python"), str(delineate.__doc__).split("\n", 1)[1]])
def test_the_python_of_the_readme_and_the_package_runs(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = {"train": 0.5, "val": 0.25, "test": 0.25}
    synthesise(tmp_path / "DATA", num_images=8, image_size=(64, 64), splits=splits)
    for sample in Synthetic(2, first=8, image_size=(64, 64)):
        write_picture(tmp_path / "photos" / Path(sample.file).name, sample.image)
    settings = training.TrainingSettings

    def quick(**values: Any) -> training.TrainingSettings:
        return settings(**{**values, "minutes": 0.001, "workers": 0})

    monkeypatch.setattr(training, "TrainingSettings", quick)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(README), "exec"), {})


@pytest.mark.parametrize(("document", "line"), LINES)
def test_every_command_and_each_of_its_options_is_known(document: str, line: str) -> None:
    unknown = set(OPTION.findall(line)) - known_options(*command_of(line))
    assert not unknown, f"{document}: delineate {line}"


@pytest.mark.parametrize("launcher", ["delineate train .*--devices", "torchrun .*-m delineate train", "srun delineate"])
def test_recipes_say_how_several_processes_are_started(launcher: str) -> None:
    assert any(re.match(launcher, line) for text in blocks(ROOT / "docs" / "recipes.md") for line in text.splitlines())


def test_the_readme_names_all_commands_and_systems() -> None:
    """Commands and options that are named alone are known to some command, and each system's own to that system."""
    named = {option for code in inline_code(README) for option in OPTION.findall(code)}
    helps = [known_options(name) for name in ORDER] + [known_options("train", name) for name in CATALOG]
    assert named <= set().union(*helps)
    rows = re.findall(r"^\| (\[?`[a-z].*?) \|.*\| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    systems = {name: options for names, options in rows for name in re.findall(r"`(\w+)`", names) if name in CATALOG}
    assert set(systems) == set(CATALOG)
    for name, options in systems.items():
        assert set(OPTION.findall(options.replace("`", " "))) <= known_options("train", name), name
