from pathlib import Path

import pytest
import torch
from PIL import Image

from delineate.data.preprocess import Preprocess
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.values import Categories

CATEGORIES = Categories(class_names=("cell", "clump"))


@pytest.fixture(scope="session")
def boxes_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that has learned nothing, and finds something in every picture."""
    torch.manual_seed(0)
    arguments = {"backbone": "resnet10t", "width": 16, "anchor_size": 8}
    model = build("mask_rcnn", CATEGORIES, **arguments)
    file = tmp_path_factory.mktemp("boxes") / "best.safetensors"
    System(
        name="mask_rcnn", model=model, arguments=arguments, categories=CATEGORIES, preprocess=Preprocess(short_side=48)
    ).save(file)
    return file.parent


@pytest.fixture(scope="session")
def maps_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    categories = Categories(class_names=("car", "sky"), label_map_names=("car", "sky"))
    arguments = {"width": 4, "depth": 2}
    model = build("fcn_full_resolution", categories, **arguments)
    torch.nn.init.zeros_(model.network[-1].bias)  # else one class wins everywhere
    file = tmp_path_factory.mktemp("maps") / "best.safetensors"
    System(
        name="fcn_full_resolution",
        model=model,
        arguments=arguments,
        categories=categories,
        preprocess=Preprocess(short_side=24),
    ).save(file)
    return file.parent


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven pictures of two sizes, of which the third is text."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(7):
        pixels = torch.randint(0, 256, (64 + 16 * (number % 2), 64, 3), dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")
    (folder / "2.png").write_text("no picture")
    return folder
