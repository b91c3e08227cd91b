import json
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from delineate.label.journal import FILE, FOLDER, Journal
from delineate.values import InputError


def begun(root: Path, count: int = 2) -> Path:
    journal = Journal(root)
    journal.say({"task": "detect"})
    for number in range(count):
        journal.append({"picture": "a.png", "base": number})
    journal.close()
    return root / FOLDER / FILE


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Journal]]:
    journals: list[Journal] = []

    def open_one(root: Path) -> Journal:
        journals.append(Journal(root))
        return journals[-1]

    yield open_one
    for journal in journals:
        journal.close()


Open = Callable[[Path], Journal]


def test_what_was_appended_is_there_again(tmp_path: Path, opened: Open) -> None:
    begun(tmp_path)
    journal = opened(tmp_path)
    assert journal.head == {"labels": 1, "task": "detect"}
    assert [entry["base"] for entry in journal.entries()] == [0, 1]
    assert journal.problems == []


def test_each_line_is_on_the_disk_before_it_is_answered(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").read_bytes()))
    journal = opened(tmp_path)
    journal.append({"picture": "a.png"})
    assert synced[-1] == b'{"picture":"a.png"}\n'


@pytest.mark.parametrize("cut", range(1, 26))
def test_a_last_line_that_was_cut_off_is_dropped_and_said(tmp_path: Path, opened: Open, cut: int) -> None:
    file = begun(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    journal = opened(tmp_path)
    assert [entry["base"] for entry in journal.entries()] == [0]
    assert "cut off" in journal.problems[0]
    journal.append({"picture": "b.png", "base": 7})
    journal.close()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line.get("base") for line in lines] == [None, 0, 7]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, opened: Open) -> None:
    file = begun(tmp_path)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "{broken", lines[2]]) + "\n")
    with pytest.raises(InputError, match=r"journal\.jsonl: line 2 is no JSON"):
        opened(tmp_path)


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    file = begun(tmp_path, 1)
    before = file.read_bytes()
    journal = opened(tmp_path)

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            journal.append({"picture": "a.png", "base": 1})
    assert file.read_bytes() == before
    journal.append({"picture": "a.png", "base": 1})
    assert file.read_bytes() == before + b'{"picture":"a.png","base":1}\n'


def test_of_a_failed_write_nothing_stays_whatever_else_fails(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a full disk left, and could not be cut off at once, is before the next line is written."""
    file = begun(tmp_path, 1)
    before = file.read_bytes()
    journal = opened(tmp_path)

    class Full(FileIO):
        """Takes some bytes, and then nothing any more, not even to be cut."""

        left = 5

        def truncate(self, size: Any = None) -> int:
            if self.left < 5:
                raise OSError(5, "Input/output error")
            return super().truncate(size)

        def write(self, data: Any) -> int:
            if not self.left:
                raise OSError(28, "No space left on device")
            taken = super().write(data[: self.left])
            self.left -= taken
            return taken

    whole = journal._opened
    with Full(str(file), "a+") as full:
        monkeypatch.setattr(journal, "_opened", full)
        with pytest.raises(OSError, match="No space left"):
            journal.append({"picture": "a.png", "base": 1})
    assert file.read_bytes() == before + b'{"pic'
    monkeypatch.setattr(journal, "_opened", whole)
    journal.append({"picture": "a.png", "base": 1})
    assert file.read_bytes() == before + b'{"picture":"a.png","base":1}\n'
    with pytest.raises(InputError, match="another process"):  # the failure has not let go of it
        opened(tmp_path)


def test_a_new_journal_has_its_name_on_the_disk(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    opened(tmp_path)
    assert synced == [str(tmp_path / FOLDER), str(tmp_path / FOLDER.parent), str(tmp_path)]


def test_one_process_writes_at_a_time(tmp_path: Path, opened: Open) -> None:
    journal = opened(tmp_path)
    with pytest.raises(InputError, match="another process"):
        opened(tmp_path)
    journal.close()
    opened(tmp_path).close()


def test_another_journal_is_not_read(tmp_path: Path, opened: Open) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / FILE).write_text('{"labels": 99}\n')
    with pytest.raises(InputError, match="no head of a journal of version 1"):
        opened(tmp_path)
