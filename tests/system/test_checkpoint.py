from pathlib import Path

import pytest
import safetensors.torch
import torch

from delineate.data.preprocess import Preprocess
from delineate.system.catalog import build
from delineate.system.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from delineate.values import Categories, InputError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    file = tmp_path / "best.safetensors"
    categories = Categories(class_names=("a", "b"), label_map_names=("a", "b"))
    checkpoint = Checkpoint(
        model=build("fcn_full_resolution", categories, width=4, depth=2),
        system="fcn_full_resolution",
        arguments={"width": 4, "depth": 2},
        categories=categories,
        preprocess=Preprocess(),
    )
    save_checkpoint(file, checkpoint)
    return file


def test_a_half_written_file_is_named(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"best.safetensors: not a whole safetensors file"):
        load_checkpoint(saved)


def test_what_is_no_checkpoint_is_named(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.safetensors: no such checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(InputError, match=r"other.safetensors: not a checkpoint of delineate"):
        load_checkpoint(other)


def test_weights_that_do_not_fit_are_named(saved: Path) -> None:
    with safetensors.safe_open(saved, framework="pt") as opened:
        header = opened.metadata()
        weights = {key: opened.get_tensor(key) for key in list(opened.keys())[1:]}
    safetensors.torch.save_file(weights, saved, metadata=header)
    with pytest.raises(InputError, match=r"best.safetensors: its weights do not fit fcn_full_resolution \(Missing key"):
        load_checkpoint(saved)


def test_nothing_is_left_beside(saved: Path) -> None:
    assert sorted(file.name for file in saved.parent.iterdir()) == ["best.json", "best.safetensors"]
