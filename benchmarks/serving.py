"""Whether a server answers everybody with the right picture's results, in the same memory, as fast as `predict`.

Three questions, of `delineate serve` as it is started on a command line, with a Mask R-CNN that has learned nothing;
together they take about ten minutes on two cores:

load         `--requests` of `--clients` at once: JPEGs and PNGs of all sizes, forms of several, broken, giant and
             cancelled ones, while one of two processes is killed (SIGKILL) in the middle. Each answer is compared with
             what `Predictor` finds in that very picture, in no two of which it finds the same. What the killed process
             had in work is cut off, and asked again.
memory       `--many` requests of these kinds, but for bodies of 33 MB, of a small Mask R-CNN: the server's memory at
             their end, against the same after a tenth of them (the peer). Each answer is compared, too.
throughput   pictures a second by `--clients` of one server, against `Predictor.predict` with threads (the peer). The
             clients work on the same cores, which the peer need not share.

An answer that is wrong or missing, more requests cut off than one process can have had, a process that is not
replaced, or memory that has grown by more than a tenth ends the script with 1.
"""

import argparse
import http.client
import io
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import combinations, cycle, islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil
import torch
from PIL import Image

from delineate.data import Synthetic
from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor, prediction_record
from delineate.io.machine import num_cores
from delineate.system.catalog import build
from delineate.system.system import System
from timing import Row, print_rows

LOW = 0.2
PATH = f"/v2/models/run/predict?min_score={LOW}"
SIZES = ((240, 320), (320, 240), (256, 256), (48, 64), (200, 300), (900, 1200), (120, 400))
NUM_PICTURES = 28
CUT_OFF = (ConnectionError, http.client.HTTPException)
GOOD = ("right", "refused", "cancelled")
GROWTH = 1.1

Record = dict[str, Any]


class Asked(NamedTuple):
    """A request has a body of a type; `expected` are the records of its pictures, or the status of a refusal."""

    kind: str
    content_type: str
    body: bytes
    expected: list[Record] | int


def write_system(folder: Path, *, backbone: str, width: int, short_side: int) -> Path:
    torch.manual_seed(0)
    categories = Synthetic(1).categories
    arguments = {"backbone": backbone, "width": width}
    model = build("mask_rcnn", categories, **arguments)
    torch.nn.init.normal_(model.box_head.classify.weight, std=1.0)  # scores differ from picture to picture
    preprocess = Preprocess(short_side=short_side)
    system = System(name="mask_rcnn", model=model, arguments=arguments, categories=categories, preprocess=preprocess)
    system.save(folder / "best.safetensors")
    return folder


def pictures(count: int) -> list[bytes]:
    """Files of synthetic pictures of all sizes, JPEGs and PNGs in turn."""
    files = []
    for number in range(count):
        (sample,) = Synthetic(1, first=number, image_size=SIZES[number % len(SIZES)])
        stream = io.BytesIO()
        Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(stream, format=("jpeg", "png")[number % 2])
        files.append(stream.getvalue())
    return files


def records(run: Path, files: Sequence[bytes]) -> list[Record]:
    """What is right of each picture; raises `SystemExit` where answers that were mixed up would look the same."""
    predictor = Predictor.load(run, device="cpu")
    found = predictor.predict(list(files), min_score=LOW, workers=min(num_cores(), 4))
    right = [prediction_record(one.prediction, predictor.categories, file="") for one in found]
    if not all(one["boxes"] for one in right) or any(same(one, other) for one, other in combinations(right, 2)):
        raise SystemExit("two pictures have the same results: mixed answers would not be seen; take other weights")
    return right


def requests(run: Path, count: int, *, giant_bodies: bool) -> list[Asked]:
    """Requests of every kind, each with what is right."""
    files = pictures(NUM_PICTURES)
    found, jpeg, stream = records(run, files), "image/jpeg", io.BytesIO()
    Image.new("L", (20_000, 5_000)).save(stream, format="png")

    def several(number: int) -> Asked:
        places = [(number + step) % NUM_PICTURES for step in range(3)]
        return Asked("form", *form([files[place] for place in places]), [found[place] for place in places])

    def one(number: int) -> Asked:
        return Asked("picture", jpeg, files[number % NUM_PICTURES], [found[number % NUM_PICTURES]])

    kinds: list[Callable[[int], Asked]] = [
        one,
        one,
        one,
        several,
        lambda number: Asked("broken", jpeg, files[number % NUM_PICTURES][: 10 + number % 300], 400),
        lambda number: Asked("text", jpeg, b"no picture at all " * 100, 400),
        lambda number: Asked("giant picture", jpeg, stream.getvalue(), 413),
        lambda number: one(number)._replace(kind="cancelled"),
        *([lambda number: Asked("giant body", jpeg, bytes(33 * 2**20), 413)] if giant_bodies else []),
    ]
    return [kind(number) for number, kind in enumerate(islice(cycle(kinds), count))]


def form(files: Sequence[bytes]) -> tuple[str, bytes]:
    head = b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="a"\r\n\r\n'
    return "multipart/form-data; boundary=x", b"".join(head + file + b"\r\n" for file in files) + b"--x--\r\n"


@contextmanager
def served(run: Path, *options: str) -> Iterator[tuple[psutil.Process, str]]:
    command = [sys.executable, "-m", "delineate", "serve", f"run={run}", "--port", "0", "--device", "cpu", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(found[1] for line in process.stderr if (found := re.search(r"http://([0-9.:]+)", line)))
        threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
        while not lives(address):
            time.sleep(0.1)
        try:
            yield psutil.Process(process.pid), address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


def processes(server: psutil.Process) -> list[psutil.Process]:
    """Those that serve, of a server that has several."""
    return [child for child in server.children() if serves(child)]


def serves(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one, too
        return False


def lives(address: str) -> bool:
    connection = connect(address)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except CUT_OFF:
        return False
    finally:
        connection.close()


def connect(address: str) -> http.client.HTTPConnection:
    place = urlsplit(f"//{address}")
    return http.client.HTTPConnection(str(place.hostname), place.port, timeout=120)


def ask(address: str, one: Asked) -> str:
    """Send a request, again where the queue is full; says how it ended."""
    while True:
        connection = connect(address)
        try:
            connection.request("POST", PATH, one.body, {"Content-Type": one.content_type})
            if one.kind == "cancelled":
                return "cancelled"
            response = connection.getresponse()
            answer = json.loads(response.read())
        except TimeoutError:
            return "lost"
        except CUT_OFF:
            return "cut off"
        finally:
            connection.close()
        if response.status != 503:
            return ended(one, response.status, answer)
        time.sleep(0.2)


def ended(one: Asked, status: int, answer: Record) -> str:
    if isinstance(one.expected, int):
        return "refused" if status == one.expected and "error" in answer else f"wrong: {one.kind}, {status}"
    given = answer.get("predictions", [answer])
    right = status == 200 and len(given) == len(one.expected) and all(map(same, given, one.expected))
    return "right" if right else f"wrong: {one.kind}, {status}"


def same(one: Record, other: Record) -> bool:
    """Whether two records have the same objects, but for last digits and the order of equal scores."""
    if len(one["boxes"]) != len(other["boxes"]):
        return False
    left = list(zip(other["labels"], other["scores"], other["boxes"], strict=True))
    for label, score, box in zip(one["labels"], one["scores"], one["boxes"], strict=True):
        mate = next((place for place, there in enumerate(left) if near(there, (label, score, box))), None)
        if mate is None:
            return False
        del left[mate]
    return True


def near(one: tuple[str, float, list[float]], other: tuple[str, float, list[float]]) -> bool:
    close = all(abs(a - b) < 0.5 for a, b in zip(one[2], other[2], strict=True))
    return one[0] == other[0] and abs(one[1] - other[1]) < 1e-3 and close


def load(run: Path, count: int, clients: int) -> tuple[list[Row], list[str]]:
    asked = requests(run, count, giant_bodies=True)
    with served(run, "--processes", "2") as (server, address), ThreadPoolExecutor(clients) as threads:
        while len(processes(server)) < 2:
            time.sleep(0.1)
        answers = [threads.submit(ask, address, one) for one in asked]
        while sum(answer.done() for answer in answers) < count // 2:
            time.sleep(0.01)
        os.kill(processes(server)[0].pid, signal.SIGKILL)
        ways = Counter(answer.result() for answer in answers)
        again = [one for one, answer in zip(asked, answers, strict=True) if answer.result() == "cut off"]
        ways.update(f"cut off, asked again: {way}" for way in threads.map(lambda one: ask(address, one), again))
        deadline = time.monotonic() + 120
        while len(processes(server)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        replaced = len(processes(server)) == 2
    good = {*GOOD, "cut off", *(f"cut off, asked again: {way}" for way in GOOD)}
    wrong = [f"load: {way} ({times})" for way, times in ways.items() if way not in good]
    wrong += [f"load: {ways['cut off']} were cut off, by a process that had {clients} at most"] * (len(again) > clients)
    wrong += ["load: the killed process was not replaced"] * (not replaced)
    return [{"name": f"{way}, requests", "ours": times} for way, times in sorted(ways.items())], wrong


def memory(run: Path, count: int, clients: int) -> tuple[list[Row], list[str]]:
    asked = requests(run, count, giant_bodies=False)
    size, ways, seen = len(asked) // 10, Counter[str](), []
    with served(run) as (server, address), ThreadPoolExecutor(clients) as threads:
        for tenth in range(10):
            part = asked[tenth * size : (tenth + 1) * size]
            ways.update(threads.map(lambda one: ask(address, one), part))
            seen.append(server.memory_info().rss / 2**20)
            print(f"after {(tenth + 1) * size} requests: {seen[-1]:.0f} MiB", file=sys.stderr)
    wrong = [f"memory: {way} ({times})" for way, times in ways.items() if way not in GOOD]
    wrong += [f"memory: it grew from {seen[0]:.0f} to {seen[-1]:.0f} MiB"] * (seen[-1] > GROWTH * seen[0])
    name = f"memory after {10 * size} requests, MiB"
    return [{"name": name, "ours": seen[-1], "peer": seen[0], "ratio": seen[0] / seen[-1]}], wrong


def throughput(run: Path, count: int, clients: int, repeats: int) -> tuple[list[Row], list[str]]:
    files = pictures(count)
    right = records(run, files)
    asked = [Asked("picture", "image/jpeg", file, [one]) for file, one in zip(files, right, strict=True)]
    predictor, workers = Predictor.load(run, device="cpu"), min(num_cores(), 4)
    ways: Counter[str] = Counter()

    def by_server() -> None:
        ways.update(threads.map(lambda one: ask(address, one), asked))

    def alone() -> None:
        for found in predictor.predict(files, min_score=LOW, workers=workers):
            json.dumps(prediction_record(found.prediction, predictor.categories, file=""))

    rates: dict[Callable[[], None], list[float]] = {by_server: [], alone: []}
    with served(run) as (_, address), ThreadPoolExecutor(clients) as threads:
        for turn in range(repeats + 1):
            for work in (by_server, alone) if turn % 2 else (alone, by_server):
                start = time.perf_counter()
                work()
                rates[work].append(count / (time.perf_counter() - start))
    ours, peer = (statistics.median(rates[work][1:]) for work in (by_server, alone))
    wrong = [f"throughput: {way} ({times})" for way, times in ways.items() if way != "right"]
    return [{"name": "pictures a second", "ours": ours, "peer": peer, "ratio": ours / peer}], wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", default=["load", "memory", "throughput"])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--num", type=int, default=63, help="pictures of the throughput")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    rows: list[Row] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        run = write_system(Path(folder, "run"), backbone="resnet18", width=64, short_side=200)
        small = write_system(Path(folder, "small"), backbone="resnet10t", width=16, short_side=64)
        questions: dict[str, Callable[[], tuple[list[Row], list[str]]]] = {
            "load": lambda: load(run, arguments.requests, arguments.clients),
            "memory": lambda: memory(small, arguments.many, arguments.clients),
            "throughput": lambda: throughput(run, arguments.num, arguments.clients, arguments.repeats),
        }
        for name in arguments.questions:
            found, mistakes = questions[name]()
            rows, wrong = rows + found, wrong + mistakes
    print_rows(rows, as_json=arguments.json)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
