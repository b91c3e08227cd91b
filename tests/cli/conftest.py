import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from delineate.cli.app import run
from delineate.data import read_dataset
from delineate.data.preprocess import Preprocess
from delineate.system.catalog import build
from delineate.system.system import System


class Ended:
    """How a command ended: its exit code and what it printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def mistake(self) -> str:
        """The one line of a user's mistake."""
        assert self.code == 2
        assert self.out == ""
        [line] = self.err.splitlines()
        return line.removeprefix("error: ")

    @property
    def json(self) -> Any:
        assert self.code == 0
        return json.loads(self.out)


@pytest.fixture
def delineate(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "synthetic"
    assert run(["synth", str(folder), "--num-images", "15", "--image-size", "64", "64"]) == 0
    return folder


@pytest.fixture(scope="session")
def trained(data: Path) -> Path:
    folder = data.parent / "run"
    budget = ["--epochs", "1", "--workers", "0", "--crop-size", "48", "48"]
    assert run(["train", "segnet_basic", str(data), "--width", "4", "--out", str(folder), *budget]) == 0
    return folder


@pytest.fixture
def mask_folder(tmp_path: Path) -> Iterator[Path]:
    """Three pictures of 32 x 32 pixels to train on, half cat, half dog."""
    root = tmp_path / "masks"
    label_map = np.zeros((32, 32), np.uint8)
    label_map[:, 16:] = 1
    for name in ("a", "b", "c"):
        for kind, pixels in (("images", np.stack([label_map * 255] * 3, 2)), ("labels", label_map)):
            (root / kind / "train").mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / kind / "train" / f"{name}.png")
    (root / "classes.txt").write_text("cat\ndog\n")
    return root


@pytest.fixture(scope="session")
def detector(data: Path) -> Path:
    """A run of a Mask R-CNN on the same classes, which has learned nothing yet."""
    folder = data.parent / "detector"
    torch.manual_seed(0)
    arguments = {"backbone": "resnet10t", "width": 16, "anchor_size": 8}
    categories = read_dataset(data, "val").categories
    model = build("mask_rcnn", categories, **arguments)
    system = System(name="mask_rcnn", model=model, arguments=arguments, categories=categories, preprocess=Preprocess())
    for weights in ("best", "last"):
        system.save(folder / f"{weights}.safetensors")
    return folder


@pytest.fixture(scope="session")
def decided(detector: Path) -> Path:
    """The same, but all classes other than the first one score below the system's own threshold."""
    system = System.load(detector / "best.safetensors")
    torch.nn.init.constant_(system.model.box_head.classify.bias[1:-1], -3.0)
    folder = detector.with_name("decided")
    system.save(folder / "best.safetensors")
    return folder
