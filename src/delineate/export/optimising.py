"""The fastest form of a run on this machine is measured once, and remembered beside it.

optimised/choice.json                        what was measured, on which machine, and the choice
optimised/openvino-PRECISION/                the choice itself where it is an export, without the metric in its verdict
"""

import json
import logging
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from delineate.artefact.loading import load_artefact
from delineate.artefact.record import GRAPHS, Precision
from delineate.data.dataset import Dataset
from delineate.data.splits import spread
from delineate.export.exporting import (
    CPU,
    RUNTIMES,
    Proof,
    proof_of,
    write_files,
    write_graph,
    write_verdict,
)
from delineate.export.verdict import CLOSE, results_level
from delineate.io.files import folder_beside, written_beside
from delineate.io.machine import num_cores, processor
from delineate.models.contract import Say
from delineate.system.checkpoint import installed, versions
from delineate.system.operating import read_points
from delineate.system.system import System
from delineate.values import InputError

Form = Literal["eager", "compiled", "openvino-fp32", "openvino-bf16"]
TIMED, REPEATS = 8, 3
"""So many pictures are timed, so many times each."""
BARELY = 0.95
"""A form that takes more than this share of the time of PyTorch's own is not worth another runtime."""


def load_optimised(file: Path, say: Say = print) -> System:
    """Load the weights of a run in their fastest form on this CPU; the first time, forms are compared and measured.

    The forms are the run itself, its network compiled by `torch.compile`, and OpenVINO in float32 and bfloat16. One is
    chosen only where it gives the results of the run (the second level of `verdict`) on the run's own pictures. Raises
    `InputError` where these are not there any more.
    """
    folder = file.parent / "optimised"
    here = _here(file)
    chosen = _remembered(folder / "choice.json", here)
    if chosen is None:
        chosen = _choose(file, folder, here, say)
    return _load(chosen, file, folder)


def _here(file: Path) -> dict[str, Any]:
    """Say what a choice depends on: weights, processor, cores and versions."""
    state = file.stat()
    return {
        "weights": [file.name, state.st_size, state.st_mtime_ns],
        "processor": processor(),
        "cores": num_cores(),
        "versions": versions() | installed(RUNTIMES),
    }


def _remembered(file: Path, here: dict[str, Any]) -> Form | None:
    if not file.is_file():
        return None
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    choice: Form | None = kept["choice"] if kept["here"] == here else None
    return choice


def _load(form: Form, file: Path, folder: Path) -> System:
    if form == "eager":
        return System.load(file, CPU)
    if form == "compiled":
        return compiled(System.load(file, CPU))
    return replace(load_artefact(folder / form, CPU), operating_points=read_points(file))


def compiled(system: System) -> System:
    """Compile the network of a system, for pictures of any size where it takes them."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it looks for a GPU, and needs none
    forward = system.model.forward
    system.model.forward = torch.compile(forward, dynamic=True)  # type: ignore[method-assign]
    return system


def _choose(file: Path, folder: Path, here: dict[str, Any], say: Say) -> Form:
    """Make, compare and measure all forms, and write down which is the fastest."""
    shutil.rmtree(folder, ignore_errors=True)
    proof = proof_of(file, say=say)
    seconds: dict[Form, float] = {"eager": _seconds(proof.system, proof.pictures)}
    left_out: dict[Form, str] = {}
    makers: dict[Form, Callable[[], System]] = {
        "compiled": lambda: _compared(compiled(System.load(file, CPU)), proof),
        "openvino-fp32": lambda: _exported(proof, folder, "fp32"),
        "openvino-bf16": lambda: _exported(proof, folder, "bf16"),
    }
    for form, make in makers.items():
        try:
            seconds[form] = _seconds(make(), proof.pictures)
        except Exception as error:  # whatever is missing or does not agree, the run itself is left
            left_out[form] = (str(error).strip() or type(error).__name__).splitlines()[0]
            say(f"{form} is left out: {left_out[form]}")
    best = min(seconds, key=lambda form: seconds[form])
    choice: Form = best if seconds[best] <= BARELY * seconds["eager"] else "eager"
    for form in seconds:
        if form != choice:
            shutil.rmtree(folder / form, ignore_errors=True)
    say(", ".join(f"{form} {1000 * value:.1f} ms a picture" for form, value in seconds.items()) + f"; taken: {choice}")
    with written_beside(folder / "choice.json") as beside:
        kept = {"choice": choice, "seconds": seconds, "left_out": left_out, "here": here}
        beside.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return choice


def _compared(system: System, proof: Proof) -> System:
    """Compare results; raises `InputError` where they are not those of the run."""
    level = results_level(proof.system, system, proof.pictures, CLOSE["fp32"])
    if not level.passed:
        raise InputError(level.line)
    return system


def _exported(proof: Proof, folder: Path, precision: Precision) -> System:
    out = folder / f"openvino-{precision}"
    with folder_beside(out) as beside:
        outputs = write_graph(proof.system, beside / GRAPHS["openvino"], "openvino")
        record = write_files(beside, proof.record(outputs, "openvino", precision))
        levels = proof.graph(beside / record.graph, "openvino") + proof.results(beside, record, metric=False)
        write_verdict(beside, record, proof, levels)
    return load_artefact(out, CPU)


@torch.inference_mode()
def _seconds(system: System, pictures: Dataset) -> float:
    """Measure the median time of a picture, from its pixels to results."""
    images = [pictures[place].image for place in spread(len(pictures), TIMED)]
    proposals = [system.search([image]) for image in images]
    seconds = []
    for turn in range(1 + REPEATS):
        for image, boxes in zip(images, proposals, strict=True):
            began = time.perf_counter()
            size = image.shape[-2], image.shape[-1]
            system.infer_prepared(system.together([system.preprocess.resize(image)], [size], boxes))
            if turn:
                seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
