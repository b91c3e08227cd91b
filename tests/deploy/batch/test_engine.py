"""Ray is no part of what tests need; where it is not installed, these are skipped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'delineate[ray]'")

NUM = 98


def rows(out: Path) -> list[dict[str, object]]:
    return [row for file in sorted(out.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 90
    while not what() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return what()


def actors(driver: int) -> list[psutil.Process]:
    names = ((child, child.cmdline()) for child in psutil.Process(driver).children(recursive=True))
    return [child for child, name in names if name and name[0].startswith("ray::MapWorker")]


def test_killed_actors_and_a_killed_command_lose_nothing_and_do_nothing_twice(
    boxes_run: Path, pictures: Path, tmp_path: Path
) -> None:
    plain, engine, log = tmp_path / "plain", tmp_path / "engine", tmp_path / "log.txt"
    (pictures / "engine.txt").write_text("\n".join(f"{number % 7}.png" for number in range(NUM)))
    options = ("--format", "parquet", "--min-score", 0.05, "--workers", 0, "--shard", 14, "--device", "cpu")
    command = [sys.executable, "-m", "delineate", "predict", boxes_run, pictures / "engine.txt", *options, "--out"]
    subprocess.run([*map(str, command), str(plain)], check=True, capture_output=True)
    with_ray = [*map(str, command), str(engine), "--engine", "ray"]
    with log.open("wb") as said:
        driver = subprocess.Popen(with_ray, stdout=said, stderr=said, start_new_session=True)
    try:
        assert wait_for(lambda: len(list(engine.glob("part-*"))) > 0, driver), log.read_text()
        actors(driver.pid)[0].kill()
        assert wait_for(lambda: len(list(engine.glob("part-*"))) > 4, driver), log.read_text()
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    assert len(list(engine.glob("part-*"))) < 14, "it was killed before its end"
    ended = subprocess.run(with_ray, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "of 14 shards were done before" in ended.stderr
    assert [row["row"] for row in rows(engine)] == list(range(NUM))
    assert rows(engine) == rows(plain)
