"""Whether memory, open files and threads grow: over many epochs of a tiny set, and over many predicted pictures.

A set of `--pictures` pictures is written; `delineate train` learns `--epochs` epochs of it, with a worker, and
`delineate predict` then predicts `--predicted` pictures, which are the same ones again and again, into one file of
Parquet. Both are processes of their own, looked at from outside twice a second, their workers with them. The table has
what there was at tenths of the time: the memory that is the processes' own (unique set size), and both counts. What it
grew by from the third tenth to the ninth is in the last column, as a share.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from delineate.data import synthesise

TENTHS = (1, 3, 5, 7, 9)
EVERY = 0.5


class Look(NamedTuple):
    """A process and those that it started have so much memory of their own, in MiB, open files and threads."""

    mib: float
    files: int
    threads: int


def look(process: psutil.Process) -> Look | None:
    """Add up a process and those that it started; `None` where it ended meanwhile."""
    mib, files, threads = 0.0, 0, 0
    try:
        several = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    for number, one in enumerate(several):
        try:
            with one.oneshot():
                mib += one.memory_full_info().uss / 2**20
                files += one.num_fds()
                threads += one.num_threads()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if number == 0:
                return None
    return Look(mib, files, threads)


def watched(*arguments: object) -> tuple[list[Look], float]:
    """Run a command of ours to its end, and look at it; gives what was seen, and its seconds."""
    started, looks = time.perf_counter(), []
    process = subprocess.Popen([sys.executable, "-m", "delineate", *map(str, arguments)], stdout=subprocess.DEVNULL)
    seen = psutil.Process(process.pid)
    while process.poll() is None:
        if (one := look(seen)) is not None:
            looks.append(one)
        time.sleep(EVERY)
    if process.returncode:
        raise SystemExit(process.returncode)
    return looks, time.perf_counter() - started


def rows(name: str, looks: list[Look], seconds: float) -> list[str]:
    """Write a row for each of what was looked at."""
    at = [looks[len(looks) * tenth // 10] for tenth in TENTHS]
    lines = []
    for what in Look._fields:
        values = [getattr(one, what) for one in at]
        grew = (values[-1] - values[1]) / max(1, values[1])
        shown = " | ".join(f"{value:.0f}" for value in values)
        lines.append(f"| {name}, {seconds:.0f} s: {what} | {shown} | {grew:+.1%} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--predicted", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data, run = Path(temporary) / "data", Path(temporary) / "run"
        synthesise(data, num_images=arguments.pictures, image_size=(64, 64))
        small = ("--width", 4, "--batch-size", 4, "--crop-size", 48, 48, "--workers", 1, "--device", "cpu")
        training = watched("train", "segnet_basic", data, *small, "--epochs", arguments.epochs, "--out", run)
        files = sorted(data.rglob("*.png"))
        names = [str(files[number % len(files)]) for number in range(arguments.predicted)]
        (data / "many.txt").write_text("\n".join(names))
        out = ("--format", "parquet", "--device", "cpu", "--out", Path(temporary) / "found")
        predicting = watched("predict", run, data / "many.txt", *out)
    print(f"| at tenths of the time: | {' | '.join(map(str, TENTHS))} | grew |\n|---{'|---' * 6}|")
    for line in (
        *rows(f"{arguments.epochs} epochs of {arguments.pictures} pictures", *training),
        *rows(f"{arguments.predicted} predicted", *predicting),
    ):
        print(line)


if __name__ == "__main__":
    main()
