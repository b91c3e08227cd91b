from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

COLOURS = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]], dtype=np.uint8)


def write_split(root: Path, split: str, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for kind in ("images", "labels"):
        (root / kind / split).mkdir(parents=True)
    for index in range(count):
        label_map = random.integers(0, 3, (4, 5)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        picture = COLOURS[label_map] + random.integers(0, 40, (32, 40, 3)).astype(np.uint8)
        Image.fromarray(picture).save(root / "images" / split / f"{index}.png")
        Image.fromarray(label_map).save(root / "labels" / split / f"{index}.png")
    (root / "classes.txt").write_text("red\ngreen\nblue\n")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask folder of 32 x 40 pictures in which the colour is the class."""
    root = tmp_path_factory.mktemp("data")
    write_split(root, "train", 13, seed=0)
    write_split(root, "val", 3, seed=1)
    return root


@pytest.fixture
def small(data: Path, tmp_path: Path) -> dict[str, Any]:
    """Settings that train in a moment."""
    return {
        "model": "fcn_full_resolution",
        "arguments": {"width": 4, "depth": 2},
        "data": data,
        "batch_size": 2,
        "workers": 0,
        "out": tmp_path / "run",
    }
