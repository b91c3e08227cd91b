"""Two processes, each with half of every batch, do what one does with the whole of it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from delineate.training import Run

SIZES = dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), "2")
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


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without torch.distributed")
def test_processes_that_torchrun_started_make_one_run_and_one_document(small: dict[str, Any], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "delineate", "train", "segnet_basic", str(small["data"]), "--width", "4"]
    command += ["--epochs", "1", "--crop-size", "32", "32", "--workers", "0", "--device", "cpu", "--json"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    processes = [
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, **master, **dict.fromkeys(("RANK", "LOCAL_RANK"), rank), **SIZES},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    (out, err), (other_out, other_err) = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], err + other_err
    assert json.loads(out)["run"] == "runs/segnet_basic-1"
    assert err.count("epoch 1 ") == 1
    assert (other_out, other_err) == ("", "")
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == ["segnet_basic-1"]
    assert Run(tmp_path / "runs" / "segnet_basic-1").settings().devices == 2
