"""Two processes, each with half of every batch, do what one does with the whole of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from delineate.training import Run

PROCESS = Path(__file__).with_name("tiny_process.py")


def start(settings: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", str(PROCESS), "1000", "train", json.dumps(settings, default=str)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without torch.distributed")
def test_two_processes_equal_one_with_twice_the_batch(small: dict[str, Any], tmp_path: Path) -> None:
    # no batch statistics and no dropout, which are each process's own; no padding, whose pixels do not count
    settings = {**small, "model": "convolutions", "arguments": {}, "scale": (1.0, 1.0), "crop_size": (32, 40)}
    settings |= {"optimizer": "sgd", "epochs": 2, "precision": "fp32"}
    runs = {name: Run(tmp_path / name) for name in ("one", "two")}
    processes = [
        start({**settings, "out": run.folder, "batch_size": 4 // devices, "devices": devices})
        for devices, run in enumerate(runs.values(), start=1)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert [text.count("epoch 1 ") for text in errors] == [1, 1]

    one, two = (load_file(run.last) for run in runs.values())
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
    histories = [run.read_metrics() for run in runs.values()]
    assert [row["pictures"] for row in histories[1]] == [row["pictures"] for row in histories[0]] == [12, 24]
    assert histories[1][-1]["mIoU"] == pytest.approx(histories[0][-1]["mIoU"], abs=1e-3)
