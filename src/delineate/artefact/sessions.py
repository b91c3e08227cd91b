"""A session computes a graph in a runtime: arrays go in by name, and come out by name."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from delineate.artefact.record import Precision, Target
from delineate.io.machine import num_cores
from delineate.io.signals import signal_stack_kept
from delineate.values import InputError

Arrays = Mapping[str, NDArray[Any]]
Session = Callable[[Arrays], dict[str, NDArray[Any]]]
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
"""What OpenVINO computes in, where the processor has instructions for it; what is quantised stays so."""


def open_session(graph: Path, target: Target, precision: Precision, device: torch.device) -> Session:
    """Open a graph in its runtime; raises `InputError` where that is not installed, or cannot read the file."""
    return {"onnx": _onnx, "openvino": _openvino}[target](graph, precision, device)


def _onnx(graph: Path, precision: Precision, device: torch.device) -> Session:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"{error.name}: it is not installed; pip install 'delineate[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_cores()
    options.log_severity_level = 3
    providers = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    if missing := set(providers) - set(onnxruntime.get_available_providers()):
        raise InputError(f"device: this ONNX Runtime has no {', '.join(missing)}; pip install onnxruntime-gpu, or cpu")
    try:
        session = onnxruntime.InferenceSession(graph, options, [*providers, "CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no class
        raise InputError(f"{graph}: ONNX Runtime does not read it: {_line(error)}") from error
    names = [output.name for output in session.get_outputs()]

    def run(given: Arrays) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(names, dict(given)), strict=True))

    return run


def _openvino(graph: Path, precision: Precision, device: torch.device) -> Session:
    openvino = import_openvino()
    if device.type != "cpu":
        raise InputError(f"device: OpenVINO computes on the CPU here, not on {device.type}; take cpu")
    options = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    options["INFERENCE_NUM_THREADS"] = str(num_cores())
    try:
        with signal_stack_kept():
            return compiled_session(openvino.Core().compile_model(graph, "CPU", options))
    except RuntimeError as error:
        raise InputError(f"{graph}: OpenVINO does not read it: {_line(error)}") from error


def import_openvino() -> Any:
    """Import OpenVINO, but not what reports its use to its makers.

    Raises `InputError` where it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise InputError(f"{error.name}: it is not installed; pip install 'delineate[export]'") from error
    return openvino


def compiled_session(compiled: Any) -> Session:
    """Make a session of a model that OpenVINO has compiled."""
    request = compiled.create_infer_request()

    def run(given: Arrays) -> dict[str, NDArray[Any]]:
        outputs = request.infer(dict(given))
        return {next(iter(port.get_names())): np.array(value) for port, value in outputs.items()}

    return run


def _line(error: Exception) -> str:
    """Say an error in a line, without the calls in OpenVINO's own source that it begins with."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = "; ".join(line for line in lines if line and not line.startswith("Exception from"))
    return said or type(error).__name__
