"""A trained system, or its export, costs parameters, operations, memory, and the time of each step of a prediction.

`python -m delineate.study.measuring RUN PICTURE ...` prints a `Measurement` as JSON; it runs in a process of its own,
so that its memory is that of one system alone.
"""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import torch
from jaxtyping import UInt8
from torch import Tensor

from delineate.artefact import is_export, read_record
from delineate.data.images import read_image
from delineate.data.splits import spread
from delineate.deploy import Predictor
from delineate.io.machine import num_cores
from delineate.io.runs import find_checkpoint
from delineate.system.flops import count_flops
from delineate.system.system import System, trimmed
from delineate.values import InputError

REPEATS = 3
NUM_TIMED = 8
"""Pictures on which a system's time is measured."""
LOOK_EVERY = 0.002
STEPS = ("prepare", "proposals", "network", "find", "results")
"""Resizing and normalising; the search for proposals outside of the network; all layers; decoding and NMS; and the
results in the coordinates of the original picture. They are the same for every system."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """A step takes `median` seconds for one picture; a tenth of the runs end before `low`, a tenth after `high`."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A measurement is what a system costs: `flops` are those of the first picture, of which a multiply-add is two.

    `latency` has each of `STEPS` and `total`; `memory` is what predicting adds to the loaded process, in bytes.
    """

    parameters: int
    flops: float
    memory: int
    latency: dict[str, Latency]
    throughput: float


def measure(run: Path, pictures: Sequence[Path], *, device: str = "auto") -> Measurement:
    """Measure the best weights of a run, or an export, on some of the pictures, one by one, in a process of its own.

    Raises `InputError` with the last line of the process where it did not come to its end.
    """
    timed = [str(pictures[place]) for place in spread(len(pictures), NUM_TIMED)]
    command = [sys.executable, "-m", __name__, str(run), device, *timed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(f"{run}: could not be measured: {last}")
    values = json.loads(done.stdout.splitlines()[-1])
    latency = {step: Latency(**quantiles) for step, quantiles in values.pop("latency").items()}
    return Measurement(latency=latency, **values)


def measure_here(system: System, images: Sequence[UInt8[Tensor, "3 _h _w"]]) -> Measurement:
    """Measure a system, in evaluation mode, in this process."""
    seconds: dict[str, list[float]] = {step: [] for step in STEPS}
    sizes = {system.preprocess.resized((image.shape[-2], image.shape[-1])): image for image in images}
    with _peak_memory(system.device) as memory:
        for image in (images[0], *sizes.values()):  # runtimes prepare themselves for each size
            _timed(system, image)
    for _ in range(REPEATS):
        for image in images:
            for step, value in _timed(system, image).items():
                seconds[step].append(value)
    totals = [sum(values) for values in zip(*seconds.values(), strict=True)]
    latency = {step: _latency(values) for step, values in {**seconds, "total": totals}.items()}
    return Measurement(
        parameters=sum(weight.numel() for weight in system.model.parameters()),
        flops=count_flops(system, images[0]),
        memory=memory[0],
        latency=latency,
        throughput=1 / statistics.mean(totals),
    )


@torch.inference_mode()
def _timed(system: System, image: UInt8[Tensor, "3 h w"]) -> dict[str, float]:
    """Measure the seconds of each step."""
    seconds = dict.fromkeys(STEPS, 0.0)
    with _added_to(seconds, "prepare"):
        resized = system.preprocess.resize(image)
    with _added_to(seconds, "proposals"):
        proposals = _proposals(system, image, resized)
    with _added_to(seconds, "prepare"):
        inputs = system.inputs(resized[None], proposals)
    size = (resized.shape[-2], resized.shape[-1])
    with _added_to(seconds, "network"):
        raw = system.model(*inputs)
    with _added_to(seconds, "find"):
        rows = trimmed(system.reader.find(raw, size))
    with _added_to(seconds, "network"):
        rows = system.model.extend(raw, rows)
    with _added_to(seconds, "results"):
        system.reader.results(rows, size, [(image.shape[-2], image.shape[-1])])
    return seconds


def _proposals(system: System, image: Tensor, resized: Tensor) -> list[Tensor] | None:
    """Search the picture itself, or the resized one where nothing is kept of the search; `None` without a search."""
    search = system.model.search
    if search is None:
        return None
    return system.search([image]) if search.kept else [search.boxes(resized)]


@contextmanager
def _added_to(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the time that is spent inside."""
    began = _now()
    yield
    seconds[step] += _now() - began


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[list[int]]:
    """Measure the most bytes that are held inside beyond those before, of the GPU or of this process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        peak: list[int] = []
        yield peak
        peak.append(int(torch.cuda.max_memory_allocated(device)) - before)
        return
    process, done = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    held = [0]

    def look() -> None:
        while not done.wait(LOOK_EVERY):
            held[0] = max(held[0], process.memory_info().rss - before)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        done.set()
        thread.join()


def _latency(seconds: Sequence[float]) -> Latency:
    ordered = torch.tensor(sorted(seconds), dtype=torch.float64)
    low, median, high = ordered.quantile(torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)).tolist()
    return Latency(median=median, low=low, high=high)


def main(run: str, device: str, *pictures: str) -> None:
    """Measure and print."""
    torch.set_num_threads(num_cores())
    images = [read_image(Path(picture)) for picture in pictures]
    measured = measure_here(Predictor.load(run, device=device).system, images)
    print(json.dumps({**asdict(measured), **_counts(Path(run))}))


def _counts(run: Path) -> dict[str, float]:
    """Count what the loaded system does not show: in use, norms are folded, and a graph is opaque."""
    if is_export(run):
        record = read_record(run)
        return {"parameters": record.parameters, "flops": record.flops}
    trained = System.load(find_checkpoint(run)).model
    return {"parameters": sum(weight.numel() for weight in trained.parameters())}


if __name__ == "__main__":
    main(*sys.argv[1:])
