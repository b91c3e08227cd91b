"""Two processes, each with half of every batch, do what one does with the whole of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from delineate.data import synthesise
from delineate.training import Run, TrainingSettings
from delineate.training.processes import is_of_another_process, shared_among
from delineate.training.state import State
from delineate.values import InputError

SIZES = dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), "2")
PROCESS = Path(__file__).with_name("tiny_process.py")


def start(settings: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", str(PROCESS), "1000", "train", json.dumps(settings, default=str)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without torch.distributed")
@pytest.mark.parametrize("model", ["convolutions", "normed"])
def test_two_processes_equal_one_with_twice_the_batch(small: dict[str, Any], tmp_path: Path, model: str) -> None:
    # no dropout, which is each process's own; no padding, whose pixels do not count
    settings = {**small, "model": model, "arguments": {}, "scale": (1.0, 1.0), "crop_size": (32, 40)}
    settings |= {"optimizer": "sgd", "epochs": 2, "precision": "fp32"}
    runs = {name: Run(tmp_path / name) for name in ("one", "two")}
    processes = [
        start({**settings, "out": run.folder, "batch_size": 4 // devices, "devices": devices})
        for devices, run in enumerate(runs.values(), start=1)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert [text.count("epoch 1 ") for text in errors] == [1, 1]
    line = "batch norms count over the pictures of all 2 processes"
    assert [text.count(line) for text in errors] == [0, model == "normed"]

    one, two = (load_file(run.last) for run in runs.values())
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
    histories = [run.read_metrics() for run in runs.values()]
    assert [row["pictures"] for row in histories[1]] == [row["pictures"] for row in histories[0]] == [12, 24]
    assert histories[1][-1]["mIoU"] == pytest.approx(histories[0][-1]["mIoU"], abs=1e-3)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without torch.distributed")
def test_two_machines_make_one_run_and_one_document(small: dict[str, Any], tmp_path: Path) -> None:
    """Each is simulated by a torchrun of its own, which meet at one address, as the recipes have it."""
    learn = ["-m", "delineate", "train", "segnet_basic", str(small["data"]), "--width", "4", "--epochs", "1"]
    learn += ["--crop-size", "32", "32", "--workers", "0", "--device", "cpu", "--json"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free.getsockname()[1]}"]
    machine = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    processes = [
        subprocess.Popen(
            [*machine, *meet, "--rdzv-id", "two", "--local-addr", "127.0.0.1", *learn],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        outs, errors = zip(*(process.communicate(timeout=300) for process in processes), strict=True)
    finally:
        for process in processes:
            process.terminate()  # and what it started; nothing where it has ended
    assert [process.returncode for process in processes] == [0, 0], errors
    assert sorted(map(bool, outs)) == [False, True], "the first process alone writes"
    assert json.loads("".join(outs))["run"] == "runs/segnet_basic-1"
    assert "".join(errors).count("epoch 1 ") == 1
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == ["segnet_basic-1"]
    settings = Run(tmp_path / "runs" / "segnet_basic-1").settings()
    assert (settings.devices, settings.num_nodes) == (1, 2)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without torch.distributed")
def test_the_script_of_the_docs_trains_in_two_processes_here(small: dict[str, Any], tmp_path: Path) -> None:
    """It is SLURM's, and where there is none it starts torchrun itself."""
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    (script,) = [block for block in page.split("```") if "#!/bin/bash" in block and "exec torchrun" in block]
    quick = f"{small['data']} --epochs 1 --backbone resnet10t --crop-size 32 32 --workers 0 --batch-size 2"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = script.strip().replace("DATA --epochs 2", quick)
    text = text.replace("exec torchrun", f"exec {sys.executable} -m torch.distributed.run --master-port {port}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    ended = subprocess.run(
        ["bash", "-c", text],
        cwd=tmp_path,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("epoch 1 ") == 1, "the first process alone says and writes"
    run = Run(tmp_path / "runs" / "two")
    assert run.settings().devices == 2
    assert len(run.read_metrics()) == 1


def launched(*arguments: str) -> list[subprocess.Popen[str]]:
    """Start two processes as torchrun does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    return [
        subprocess.Popen(
            [sys.executable, "-W", "error", str(PROCESS), "0.1", *arguments],
            env={**os.environ, **master, **dict.fromkeys(("RANK", "LOCAL_RANK"), rank), **SIZES},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without torch.distributed")
def test_a_run_whose_process_died_goes_on_in_one_with_the_same_batches(small: dict[str, Any], tmp_path: Path) -> None:
    settings = {**small, "model": "slow_convolutions", "arguments": {}, "scale": (1.0, 1.0), "crop_size": (32, 40)}
    settings |= {"optimizer": "sgd", "epochs": 4, "precision": "fp32", "accumulate": 2}
    runs = {name: Run(tmp_path / name) for name in ("whole", "died")}
    whole = start({**settings, "out": runs["whole"].folder, "batch_size": 4})
    first, second = launched(
        "train", json.dumps({**settings, "out": runs["died"].folder, "batch_size": 2}, default=str)
    )
    deadline = time.monotonic() + 200
    while not runs["died"].resume_file.exists() and time.monotonic() < deadline and second.poll() is None:
        time.sleep(0.02)
    second.send_signal(signal.SIGKILL)
    said = first.communicate(timeout=100)[1]
    second.communicate(timeout=60)
    assert first.returncode not in (0, None), "it does not wait for the one that died"
    assert "another process of this training ended; to go on: delineate train --resume" in said
    saved = runs["died"].load_state()
    assert saved is not None
    assert not State(**saved["state"]).finished
    alone = [sys.executable, "-W", "error", str(PROCESS), "1000", "resume", str(runs["died"].folder), "1"]
    ended = subprocess.run(alone, capture_output=True, text=True, check=False, timeout=300)
    errors = whole.communicate(timeout=300)[1]
    assert [whole.returncode, ended.returncode] == [0, 0], errors + ended.stderr
    one, other = (load_file(run.last) for run in runs.values())
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-5)
    histories = [run.read_metrics() for run in runs.values()]
    assert [row["pictures"] for row in histories[1]] == [row["pictures"] for row in histories[0]] == [12, 24, 36, 48]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without torch.distributed")
def test_a_process_without_objects_learns_with_the_others(tmp_path: Path) -> None:
    """Of eight pictures one has objects, so that at least one of two processes has none at each step."""
    data = tmp_path / "data"
    synthesise(data, num_images=10, image_size=(64, 64), splits={"train": 0.8, "val": 0.2})
    file = data / "annotations" / "instances_train.json"
    document = json.loads(file.read_text())
    kept = document["annotations"][0]["image_id"]
    document["annotations"] = [row for row in document["annotations"] if row["image_id"] == kept]
    file.write_text(json.dumps(document))
    command = ["train", "mask_rcnn", data, "--backbone", "resnet10t", "--width", "16", "--anchor-size", "8"]
    command += ["--epochs", "1", "--batch-size", "1", "--workers", "0", "--devices", "2", "--device", "cpu"]
    command += ["--crop-size", "64", "64", "--out", tmp_path / "run"]
    ended = subprocess.run(
        [sys.executable, "-m", "delineate", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    assert [row["pictures"] for row in Run(tmp_path / "run").read_metrics()] == [8]


@pytest.mark.parametrize(
    ("given", "expected"), [({}, (2, 4)), ({"devices": 1}, (1, 8)), ({"devices": 4}, (4, 2)), ({"devices": 8}, (8, 1))]
)
def test_a_batch_is_shared_anew(given: dict[str, int], expected: tuple[int, int]) -> None:
    settings = TrainingSettings(model="unet", data="data", batch_size=4, devices=2, num_nodes=1)
    shared = shared_among(settings, given)
    assert (shared.devices, shared.batch_size) == expected
    with pytest.raises(InputError, match="devices: 3 processes cannot share the 8 pictures of this run's batches"):
        shared_among(settings, {"devices": 3})


def test_errors_of_other_processes_are_told_from_own_ones() -> None:
    lost = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:2"
    assert is_of_another_process(RuntimeError(lost))
    assert not is_of_another_process(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
