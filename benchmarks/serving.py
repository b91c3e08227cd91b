"""Whether a server answers everybody with the right picture's results, in the same memory, as fast as `predict`.

Three questions, of `delineate serve` as it is started on a command line, with a Mask R-CNN that has learned nothing:

load         `--requests` of `--clients` at once: JPEGs and PNGs of all sizes, forms of several, broken, giant and
             cancelled ones, while one of two processes is killed in the middle. Each answer is compared with what
             `Predictor` finds in that very picture. One that is wrong or missing ends the script with 1.
memory       `--many` requests: the server's memory at their end, against the same after a tenth of them (the peer).
throughput   pictures a second by `--clients` of one server, against `Predictor.predict` with threads (the peer). The
             clients work on the same cores, which the peer need not share.
"""

import argparse
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil
from PIL import Image

from delineate.data import Synthetic
from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor, prediction_record
from delineate.io.machine import num_cores
from delineate.system.catalog import build
from delineate.system.system import System
from timing import Row, print_rows

PATH = "/v2/models/run/predict?min_score=0.2"
SIZES = ((240, 320), (320, 240), (256, 256), (200, 300))
GONE = (ConnectionError, http.client.HTTPException, TimeoutError)


class Asked(NamedTuple):
    """A request has a body of a type; `expected` are the boxes of each of its pictures, or the status of a refusal."""

    kind: str
    content_type: str
    body: bytes
    expected: list[Any] | int


def write_system(folder: Path) -> Path:
    categories = Synthetic(1).categories
    arguments = {"backbone": "resnet18", "width": 64}
    model = build("mask_rcnn", categories, **arguments)
    preprocess = Preprocess(short_side=200)
    system = System(name="mask_rcnn", model=model, arguments=arguments, categories=categories, preprocess=preprocess)
    system.save(folder / "best.safetensors")
    return folder


def pictures(count: int, sizes: Sequence[tuple[int, int]] = SIZES) -> list[bytes]:
    """Files of synthetic pictures of all sizes, JPEGs and PNGs in turn."""
    files = []
    for number in range(count):
        (sample,) = Synthetic(1, first=number, image_size=sizes[number % len(sizes)])
        stream = io.BytesIO()
        Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(stream, format=("jpeg", "png")[number % 2])
        files.append(stream.getvalue())
    return files


def requests(predictor: Predictor, count: int) -> list[Asked]:
    """Requests of every kind, each with what is right."""
    files = pictures(24)
    found = [prediction_record(one, predictor.categories, file="") for one in predictor(files, min_score=0.2)]
    stream = io.BytesIO()
    Image.new("L", (20_000, 5_000)).save(stream, format="png")
    jpeg = "image/jpeg"
    kinds: list[Callable[[int], Asked]] = [
        lambda n: Asked("picture", jpeg, files[n % 24], [found[n % 24]]),
        lambda n: Asked("picture", jpeg, files[n % 24], [found[n % 24]]),
        lambda n: Asked("picture", jpeg, files[n % 24], [found[n % 24]]),
        lambda n: Asked(
            "form", *form([files[(n + k) % 24] for k in range(3)]), [found[(n + k) % 24] for k in range(3)]
        ),
        lambda n: Asked("broken", jpeg, files[n % 24][: len(files[n % 24]) // 3], 400),
        lambda n: Asked("text", jpeg, b"no picture at all " * 100, 400),
        lambda n: Asked("giant picture", jpeg, stream.getvalue(), 413),
        lambda n: Asked("giant body", jpeg, bytes(33 * 2**20), 413),
        lambda n: Asked("cancelled", jpeg, files[n % 24], 499),
    ]
    return [kind(number) for number, kind in enumerate(islice(cycle(kinds), count))]


def three(things: Sequence[Any], first: int) -> list[Any]:
    return [things[(first + place) % len(things)] for place in range(3)]


def form(files: Sequence[bytes]) -> tuple[str, bytes]:
    head = b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="a"\r\n\r\n'
    return "multipart/form-data; boundary=x", b"".join(head + file + b"\r\n" for file in files) + b"--x--\r\n"


@contextmanager
def served(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "delineate", "serve", f"run={run}", "--port", "0", "--device", "cpu", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(found[1] for line in process.stderr if (found := re.search(r"http://([0-9.:]+)", line)))
        threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
        while not lives(address):
            time.sleep(0.1)
        try:
            yield process, address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


def lives(address: str) -> bool:
    try:
        connection = connect(address)
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except GONE:
        return False


def connect(address: str) -> http.client.HTTPConnection:
    place = urlsplit(f"//{address}")
    return http.client.HTTPConnection(str(place.hostname), place.port, timeout=120)


def ask(address: str, one: Asked) -> str:
    """Send a request; says in a word how it ended."""
    connection = connect(address)
    try:
        connection.request("POST", PATH, one.body, {"Content-Type": one.content_type})
        if one.kind == "cancelled":
            return "cancelled"
        response = connection.getresponse()
        answer = json.loads(response.read())
    except GONE as error:
        return "lost" if isinstance(error, TimeoutError) else "cut off"
    finally:
        connection.close()
    if response.status == 503:
        time.sleep(0.2)
        return ask(address, one)
    if isinstance(one.expected, int):
        return "refused" if response.status == one.expected and "error" in answer else f"wrong ({response.status})"
    given = answer.get("predictions", [answer])
    return "right" if len(given) == len(one.expected) and all(map(same, given, one.expected)) else "wrong"


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compare boxes and scores but for their last digits, which the number of threads changes."""
    if one.get("labels") != other["labels"]:
        return False
    near = [
        abs(a - b) < 0.5 for x, y in zip(one["boxes"], other["boxes"], strict=True) for a, b in zip(x, y, strict=True)
    ]
    return all(near) and all(abs(a - b) < 1e-3 for a, b in zip(one["scores"], other["scores"], strict=True))


def load(run: Path, count: int, clients: int) -> Counter[str]:
    asked = requests(Predictor.load(run, device="cpu"), count)
    with served(run, "--processes", "2") as (process, address), ThreadPoolExecutor(clients) as threads:
        answers = [threads.submit(ask, address, one) for one in asked]
        while sum(answer.done() for answer in answers) < count // 2:
            time.sleep(0.05)
        victim = next(
            child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())
        )
        os.kill(victim.pid, signal.SIGKILL)
        ended = Counter(answer.result() for answer in answers)
        for one in (one for one, answer in zip(asked, answers, strict=True) if answer.result() == "cut off"):
            ended[f"cut off, asked again: {ask(address, one)}"] += 1
    return ended


def memory(run: Path, count: int, clients: int) -> Row:
    asked = [Asked("picture", "image/jpeg", file, []) for file in pictures(24)]
    with served(run) as (process, address), ThreadPoolExecutor(clients) as threads:
        seen = []
        for tenth in range(10):
            list(threads.map(lambda one: ask(address, one), islice(cycle(asked), count // 10)))
            seen.append(psutil.Process(process.pid).memory_info().rss / 2**20)
            print(f"after {(tenth + 1) * (count // 10)} requests: {seen[-1]:.0f} MiB", file=sys.stderr)
    return {
        "name": f"memory after {count} requests, MiB",
        "ours": seen[-1],
        "peer": seen[0],
        "ratio": seen[0] / seen[-1],
    }


def throughput(run: Path, count: int, clients: int, repeats: int) -> Row:
    files = pictures(count)
    asked = [Asked("picture", "image/jpeg", file, []) for file in files]
    predictor = Predictor.load(run, device="cpu")
    workers = min(num_cores(), 4)

    def by_server() -> None:
        list(threads.map(lambda one: ask(address, one), asked))

    def alone() -> None:
        for found in predictor.predict(files, min_score=0.2, workers=workers):
            json.dumps(prediction_record(found.prediction, predictor.categories, file=""))

    with served(run) as (_, address), ThreadPoolExecutor(clients) as threads:
        rates: dict[str, list[float]] = {"ours": [], "peer": []}
        for _ in range(repeats + 1):
            for name, work in (
                ("ours", lambda: list(threads.map(lambda one: ask(address, one), asked))),
                ("peer", alone),
            ):
                start = time.perf_counter()
                work()
                rates[name].append(count / (time.perf_counter() - start))
    ours, peer = (sorted(rates[name][1:])[repeats // 2] for name in ("ours", "peer"))
    return {"name": "pictures a second", "ours": ours, "peer": peer, "ratio": ours / peer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", default=["load", "memory", "throughput"])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--num", type=int, default=64, help="pictures of the throughput")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        run = write_system(Path(folder))
        if "load" in arguments.questions:
            ended = load(run, arguments.requests, arguments.clients)
            rows += [{"name": f"{name}, requests", "ours": count} for name, count in sorted(ended.items())]
        if "memory" in arguments.questions:
            rows.append(memory(run, arguments.many, arguments.clients))
        if "throughput" in arguments.questions:
            rows.append(throughput(run, arguments.num, arguments.clients, arguments.repeats))
    print_rows(rows, as_json=arguments.json)
    if any(row["name"].startswith(("wrong", "lost")) or row["name"].endswith("wrong, requests") for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
