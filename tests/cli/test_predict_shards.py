"""`predict --format parquet` writes a manifest's results in shards."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest


@pytest.fixture
def pictures(data: Path) -> Path:
    return data / "images" / "val" if (data / "images" / "val").is_dir() else next(data.rglob("*.png")).parent


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_shards_are_the_whole_and_what_is_done_is_passed_over(
    delineate: Callable, detector: Path, pictures: Path, tmp_path: Path
) -> None:
    num = len(list(pictures.glob("*.png")))
    call = ("predict", detector, pictures, "--format", "parquet", "--min-score", "0.05", "--workers", "0")
    whole = delineate(*call, "--out", tmp_path / "whole")
    assert whole.code == 0
    assert whole.out.startswith(f"{num} pictures in ")
    assert str(tmp_path / "whole" / "part-00001-of-00001.parquet") in whole.out.replace("\n", "")
    first = delineate(*call, "--out", tmp_path / "cut", "--shard", "2/2")
    assert [first.code, len(rows(tmp_path / "cut"))] == [0, num - num // 2]
    both = delineate(*call[:3], "--out-format", *call[4:], "--out", tmp_path / "cut", "--shard", "2")
    assert "1 of 2 shards were done before; --again does them anew" in both.err
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    other = delineate(*call, "--out", tmp_path / "cut", "--shard", "2", "--nms-iou", "0.3")
    assert "it was made otherwise (nms_iou was None, now 0.3)" in other.mistake


def test_broken_pictures_are_rows_and_no_failure(
    delineate: Callable, trained: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(next(pictures.glob("*.png")).read_bytes())
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "list.csv").write_text("path\na.png\nb.png\nc.png\n")
    ended = delineate("predict", trained, tmp_path / "list.csv", "--format", "parquet", "--out", tmp_path / "out")
    assert ended.code == 0
    assert "3 pictures in" in ended.out
    assert "2 could not be read (their rows have an error)" in ended.out
    a, b, c = rows(tmp_path / "out")
    assert [a["path"], a["error"], b["label_map"], c["shares"]] == ["a.png", None, None, None]
    assert [b["error"], c["error"]] == [
        f"{tmp_path / 'b.png'}: the file is empty; replace the file or remove it",
        f"{tmp_path / 'c.png'}: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--shard", "1/2"], "shard: shards are written with --format parquet; add it, or leave this out"),
        (["--engine", "ray"], "engine: shards are written with --format parquet; add it, or leave this out"),
        (["--format", "parquet", "--track"], "track: parquet has none; leave it out"),
        (["--format", "parquet", "--address", "a"], "address: it is that of an engine's cluster; add --engine ray"),
        (["--format", "parquet", "--shard", "0/2"], "shard: '0/2' is no part; write 3/64 for the third of 64"),
        (["--format", "parquet", "--shard", "3/2"], "shard: '3/2' is no part"),
        (["--format", "parquet", "--shard", "two"], "shard: 'two' is no part"),
        (["--format", "parquet", "--shard", "1/999"], "shard: 999 parts of"),
    ],
)
def test_mistakes(delineate: Callable, trained: Path, pictures: Path, tmp_path: Path, options: list, line: str) -> None:
    assert delineate("predict", trained, pictures, "--out", tmp_path, *options).mistake.startswith(line)


def test_what_is_not_installed_is_said(
    delineate: Callable, trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    call = ("predict", trained, pictures, "--format", "parquet", "--out", tmp_path)
    assert delineate(*call, "--engine", "ray").mistake.endswith("pip install 'delineate[ray]'")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    assert delineate(*call).mistake.endswith("pip install 'delineate[batch]'")


def test_two_processes_do_their_shards_side_by_side(trained: Path, pictures: Path, tmp_path: Path) -> None:
    """As a scheduler starts them: each knows its number alone."""
    command = [
        sys.executable,
        "-m",
        "delineate",
        "predict",
        trained,
        pictures,
        "--format",
        "parquet",
        "--out",
        tmp_path,
    ]
    started = [subprocess.Popen([*map(str, command), "--shard", f"{number}/2"]) for number in (1, 2)]
    assert [process.wait() for process in started] == [0, 0]
    assert sorted(row["row"] for row in rows(tmp_path)) == list(range(len(list(pictures.glob("*.png")))))
