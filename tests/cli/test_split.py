import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def pictures(data: Path, tmp_path: Path) -> Path:
    """Fifteen pictures, of which 12 are to train on."""
    shutil.copytree(data, tmp_path / "pictures")
    return tmp_path / "pictures"


def test_a_table_shows_the_parts_and_a_dry_run_writes_nothing(delineate: Callable, pictures: Path) -> None:
    arguments = ["split", pictures, "--split", "train", "--test", 0.25, "--seed", 3]
    shown = delineate(*arguments, "--dry-run").out.splitlines()
    [head] = [line for line in shown if "train" in line]
    assert head.split() == ["train", "75%", "test", "25%"]
    [row] = [line for line in shown if line.startswith(" pictures")]
    assert row.split() == ["pictures", "9", "75.0%", "3", "25.0%"]
    assert any(line.startswith(" star") for line in shown)
    assert shown[-1] == "nothing was written"
    assert not (pictures / "splits").exists()
    assert delineate(*arguments).out.splitlines()[-1].startswith(f"{pictures / 'splits'}: train.txt, test.txt")
    assert len((pictures / "splits" / "test.txt").read_text().splitlines()) == 1 + 3


def test_json(delineate: Callable, pictures: Path) -> None:
    result = delineate("split", pictures, "--split", "train", "--json").json
    assert set(result) == {"divided", "parts", "lists", "groups", "near_duplicates", "off", "notes"}
    assert result["divided"] == "train"
    assert {name: part["pictures"] for name, part in result["parts"].items()} == {"train": 10, "test": 2}
    assert result["lists"]["test"] == str(pictures / "splits" / "test.txt")
    assert set(result["parts"]["train"]["objects"]) >= {"star", "ring"}


def test_every_command_reads_the_parts(delineate: Callable, pictures: Path, trained: Path, tmp_path: Path) -> None:
    delineate("split", pictures, "--split", "train")
    assert delineate("val", trained, pictures, "--split", "test", "--workers", 0, "--json").json["num_images"] == 2
    assert delineate("convert", pictures, tmp_path / "yolo", "--to", "yolo").code == 0
    assert len(list((tmp_path / "yolo").glob("images/test/*"))) == 2
    assert len(list((tmp_path / "yolo").glob("images/train/*"))) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DATA"], "there are the parts train, val; say with --split which one to divide"),
        (["DATA", "--split", "nope"], "no split 'nope'"),
        (["DATA", "--split", "train", "--by", "picture", "--group", "prefix"], "leave --group out"),
        (["DATA", "--split", "train", "--by", "group"], "no picture would be left for it"),
        (["DATA", "--split", "train", "--test", "1.5"], "--test"),
        (["nowhere"], "nowhere: there is no such folder"),
    ],
)
def test_mistakes(delineate: Callable, data: Path, arguments: list[str], message: str) -> None:
    assert message in delineate("split", *[data if part == "DATA" else part for part in arguments]).mistake
