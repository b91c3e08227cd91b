"""The machine that this process runs on."""

import os
import platform
import sys
from pathlib import Path

import torch

from delineate.values import InputError


def find_device(name: str) -> torch.device:
    """Find torch's device of a name, a GPU where there is one for `auto`; raises `InputError` where it is missing."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device: '{name}' is not to be had ({str(error).splitlines()[0]}); try auto or cpu"
        ) from error


def has_bf16(device: torch.device) -> bool:
    """Tell whether a device has instructions for bfloat16; others only imitate them."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def num_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def machine(device: str) -> str:
    """Describe in words what a study on this `device` (auto, cpu, cuda) runs on."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cores = num_cores()
    return f"{cores} core{'s' if cores > 1 else ''} of a CPU ({platform.machine()})"


def processor() -> str:
    """Name the processor, as the system does."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else ()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
