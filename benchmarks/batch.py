"""What shards and Ray cost and buy when many pictures are predicted, and what is left when processes are killed.

`delineate predict --format parquet` of an untrained system, whose networks run on one thread each: one process against
two with half of the pictures each, two processes against Ray with two actors, and Ray whose actor and whose driver are
killed in the middle, after which the command is given again. Pictures a second are those of the command's last line,
without the seconds that starting takes, but for Ray's own, so that few pictures say little of it. Memory is the most
that one process had, of `--pictures` and of ten times as many.
"""

import argparse
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from prediction import write_pictures, write_system

Row = dict[str, object]


class Measured:
    """The same pictures are predicted in many ways."""

    def __init__(self, folder: Path, run: Path, num_pictures: int, num_shards: int) -> None:
        self.folder, self.run, self.num_shards = folder, run, num_shards
        self.manifest = folder / "list.txt"
        names = [f"pictures/{number % 8}.jpg" for number in range(num_pictures)]
        self.manifest.write_text("\n".join(names))

    def start(self, out: str, shard: str, *options: str) -> subprocess.Popen[str]:
        command = ["predict", str(self.run), str(self.manifest), "--format", "parquet", "--workers", "0"]
        command += [
            "--device",
            "cpu",
            "--min-score",
            "0.1",
            "--out",
            str(self.folder / out),
            "--shard",
            shard,
            *options,
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "delineate", *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pace(self, processes: Sequence[subprocess.Popen[str]]) -> float:
        """Wait for processes that began together; pictures a second of all."""
        pictures, seconds = 0, []
        for process in processes:
            said = process.communicate()[0]
            assert process.returncode == 0, said
            for found in re.finditer(r"(\d+) pictures in ([\d.]+) s", said):
                pictures += int(found[1])
                seconds.append(float(found[2]))
        return pictures / max(seconds)

    def plain(self, out: str, num_processes: int) -> float:
        """Let so many processes predict all shards; each has its share of them, as a scheduler would give it."""
        return self.pace([self.start(out, f"{number + 1}/{num_processes}") for number in range(num_processes)])

    def rows(self, out: str) -> list[Row]:
        files = sorted((self.folder / out).glob("*.parquet"))
        return [row for file in files for row in pq.read_table(file).to_pylist()]

    def killed(self, out: str) -> dict[str, object]:
        """Kill an actor after the first shard, and the driver in the middle; then go on."""
        driver = self.start(out, str(self.num_shards), "--engine", "ray")
        self._until(driver, out, 1)
        children = psutil.Process(driver.pid).children(recursive=True)
        actor = next(child for child in children if child.cmdline()[:1] and "MapWorker" in child.cmdline()[0])
        actor.kill()
        self._until(driver, out, self.num_shards // 2)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()
        before = len(list((self.folder / out).glob("*.parquet")))
        self.pace([self.start(out, str(self.num_shards), "--engine", "ray")])
        return {"shards_before_the_kill": before, "shards": self.num_shards}

    def _until(self, process: subprocess.Popen[str], out: str, num_shards: int) -> None:
        while len(list((self.folder / out).glob("*.parquet"))) < num_shards and process.poll() is None:
            time.sleep(0.02)


def peak(measured: Measured, out: str) -> float:
    """Measure the most memory of one process that predicts all, in MiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    measured.pace([measured.start(out, "1/1")])
    now = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert now > 0, before
    return now / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="ssd")
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--size", type=int, nargs=2, default=(320, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--no-memory", action="store_true", help="leave out the ten times as many pictures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "pictures").mkdir()
        write_pictures(folder / "pictures", 8, tuple(arguments.size))
        run = write_system(folder, arguments.system)
        measured = Measured(folder, run, arguments.pictures, arguments.shards)
        said: dict[str, object] = {}
        if not arguments.no_memory:  # first, as the most of all children is measured
            said["mib"] = peak(measured, "memory")
            said["mib of ten times as many"] = peak(Measured(folder, run, 10 * arguments.pictures, 1), "memory10")
            measured = Measured(folder, run, arguments.pictures, arguments.shards)
        one, two = measured.plain("one", 1), measured.plain("two", 2)
        said |= {"pictures a second, one process": one, "two processes": two, "ratio": two / one}
        said["the same rows"] = measured.rows("one") == measured.rows("two")
        if find_spec("ray") is not None:
            engine = measured.pace([measured.start("engine", str(arguments.shards), "--engine", "ray")])
            said |= {"with Ray, two actors": engine, "Ray against two processes": engine / two}
            said |= measured.killed("killed")
            rows = measured.rows("killed")
            said["rows lost or twice"] = len(rows) - arguments.pictures
            said["the same rows after the kills"] = rows == measured.rows("one")
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
