"""What a trained system costs: parameters, operations, memory, and the time of each step of a prediction.

`python -m delineate.study.measuring RUN PICTURE ...` prints a `Measurement` as JSON; it runs in a process of its own,
so that its memory is that of one system alone.
"""

import json
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from delineate.data.images import read_image
from delineate.deploy import Predictor
from delineate.models.two_stage import RegionDetector
from delineate.models.two_stage.proposers.contract import Proposer
from delineate.training.settings import num_cores
from delineate.values import InputError

WARM_UP, REPEATS = 2, 3
LOOK_EVERY = 0.002
STEPS = ("preprocess", "proposals", "network", "post-processing")


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds of a picture by itself: the median, and what a tenth of the runs fall short of and go beyond."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a system costs. `flops` are those of the first picture, a multiplication and an addition counting as two.

    `latency` has each of `STEPS` and `total`; `memory` is what predicting adds to the loaded process, in bytes.
    """

    parameters: int
    flops: float
    memory: int
    latency: dict[str, Latency]
    throughput: float


def measure(run: Path, pictures: Sequence[Path], *, device: str = "auto") -> Measurement:
    """Measure the best weights of a run on some pictures, one at a time, in a process of its own.

    Raises `InputError` with the last line that the process said where it did not come to its end.
    """
    command = [sys.executable, "-m", __name__, str(run), device, *map(str, pictures)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(f"{run}: could not be measured: {last}")
    values = json.loads(done.stdout.splitlines()[-1])
    latency = {step: Latency(**its) for step, its in values.pop("latency").items()}
    return Measurement(latency=latency, **values)


def measure_here(predictor: Predictor, images: Sequence[Tensor]) -> Measurement:
    """Measure a system in this process."""
    model = predictor.model
    seconds: dict[str, list[float]] = {step: [] for step in STEPS}
    device = next(model.parameters()).device
    with _peak_memory(device) as memory:
        for _ in range(WARM_UP):
            _timed(predictor, images[0])
    for _ in range(REPEATS):
        for image in images:
            for step, value in _timed(predictor, image).items():
                seconds[step].append(value)
    totals = [sum(values) for values in zip(*seconds.values(), strict=True)]
    latency = {step: _latency(values) for step, values in {**seconds, "total": totals}.items()}
    return Measurement(
        parameters=sum(weight.numel() for weight in model.parameters()),
        flops=count_flops(predictor, images[0]),
        memory=memory[0],
        latency=latency,
        throughput=1 / statistics.mean(totals),
    )


@torch.no_grad()
def count_flops(predictor: Predictor, image: Tensor) -> float:
    """Those of the network for one picture, as PyTorch counts them: convolutions and products of matrices."""
    model, batch = predictor.model, _batch(predictor, image)
    counter = FlopCounterMode(display=False)
    proposals = _searched(predictor, image)
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in learned:  # the counter follows gradients, and stumbles over views of weights where there are none
        weight.requires_grad_(False)
    with counter, sdpa_kernel(SDPBackend.MATH):  # other kernels of attention are not counted
        model(batch) if proposals is None else model(batch, [proposals])
    for weight in learned:
        weight.requires_grad_(True)
    return float(counter.get_total_flops())


@torch.inference_mode()
def _timed(predictor: Predictor, image: Tensor) -> dict[str, float]:
    """The seconds of each step; what a proposer takes within the network is its own."""
    model, size = predictor.model, (image.shape[-2], image.shape[-1])
    started = _now()
    batch = _batch(predictor, image)
    prepared = _now()
    proposals = _searched(predictor, image)
    searched = _now()
    with _time_of(model, Proposer) as inside:
        outputs = model(batch) if proposals is None else model(batch, [proposals])
    ran = _now()
    model.postprocess(outputs, [size])
    return {
        "preprocess": prepared - started,
        "proposals": searched - prepared + sum(inside),
        "network": ran - searched - sum(inside),
        "post-processing": _now() - ran,
    }


def _batch(predictor: Predictor, image: Tensor) -> Tensor:
    device = next(predictor.model.parameters()).device
    batch = predictor.preprocess.normalise(predictor.preprocess.resize(image)[None].to(device))
    return batch.contiguous(memory_format=torch.channels_last)


def _searched(predictor: Predictor, image: Tensor) -> Tensor | None:
    """What selective search finds in the picture, in the coordinates of the batch; `None` for a system without it."""
    from delineate.ops.boxes import scale_boxes

    model = predictor.model
    if not isinstance(model, RegionDetector) or model.search is None:
        return None
    size = (image.shape[-2], image.shape[-1])
    boxes = scale_boxes(model.search.boxes(image), size, predictor.preprocess.resized(size))
    return boxes.to(next(model.parameters()).device)


@contextmanager
def _time_of(model: nn.Module, kind: type[nn.Module]) -> Iterator[list[float]]:
    """The seconds that each call of the modules of one kind takes."""
    seconds: list[float] = []
    began: list[float] = []

    def before(*_: Any) -> None:
        began.append(_now())

    def after(*_: Any) -> None:
        seconds.append(_now() - began.pop())

    modules = [module for module in model.modules() if isinstance(module, kind)]
    hooks = [module.register_forward_pre_hook(before) for module in modules]
    hooks += [module.register_forward_hook(after) for module in modules]
    try:
        yield seconds
    finally:
        for hook in hooks:
            hook.remove()


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[list[int]]:
    """The most bytes that are held inside beyond those before, of the GPU or of this process."""
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


def machine(device: str) -> str:
    """What a study on this `device` (auto, cpu, cuda) runs on, in words."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cores = num_cores()
    return f"{cores} core{'s' if cores > 1 else ''} of a CPU ({platform.machine()})"


def main(run: str, device: str, *pictures: str) -> None:
    """Measure and print."""
    torch.set_num_threads(num_cores())
    predictor = Predictor.load(run, device=device)
    images = [read_image(Path(picture)) for picture in pictures]
    print(json.dumps(asdict(measure_here(predictor, images))))


if __name__ == "__main__":
    main(*sys.argv[1:])
