import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from delineate.data.preprocess import Preprocess
from delineate.nn.backbones import read_weights
from delineate.system.catalog import build
from delineate.system.checkpoint import VERSION, Facts, read_facts, write_checkpoint
from delineate.system.system import System
from delineate.values import Categories, InputError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    file = tmp_path / "best.safetensors"
    categories = Categories(class_names=("a", "b"), label_map_names=("a", "b"))
    System(
        name="fcn_full_resolution",
        model=build("fcn_full_resolution", categories, width=4, depth=2),
        arguments={"width": 4, "depth": 2},
        categories=categories,
        preprocess=Preprocess(),
    ).save(file)
    return file


def test_a_half_written_file_is_named(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"best.safetensors: not a whole safetensors file"):
        System.load(saved)


def test_what_is_no_checkpoint_is_named(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.safetensors: no such checkpoint"):
        System.load(tmp_path / "none.safetensors")
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(InputError, match=r"other.safetensors: not a checkpoint of delineate"):
        System.load(other)


def test_weights_that_do_not_fit_are_named(saved: Path) -> None:
    with safetensors.safe_open(saved, framework="pt") as opened:
        header = opened.metadata()
        weights = {key: opened.get_tensor(key) for key in list(opened.keys())[1:]}
    safetensors.torch.save_file(weights, saved, metadata=header)
    with pytest.raises(InputError, match=r"best.safetensors: its weights do not fit fcn_full_resolution \(Missing key"):
        System.load(saved)


def test_what_an_earlier_version_made_otherwise_is_refused_in_a_line(tmp_path: Path) -> None:
    """Its SegNet ended in a 1x1 convolution."""
    categories = Categories(class_names=("a", "b"), label_map_names=("a", "b"))
    weights = build("segnet", categories, backbone="vgg11_bn").state_dict()
    weights["network.classify.weight"] = weights["network.classify.weight"][..., :1, :1]
    facts = Facts(
        version=2,
        system="segnet",
        arguments={"backbone": "vgg11_bn"},
        categories=categories,
        preprocess=Preprocess(),
    )
    write_checkpoint(tmp_path / "best.safetensors", facts, weights)
    message = r"do not fit segnet \(size mismatch .*\); an earlier delineate wrote it: use that one, or train anew$"
    with pytest.raises(InputError, match=message):
        System.load(tmp_path / "best.safetensors")


def test_nothing_is_left_beside(saved: Path) -> None:
    assert sorted(file.name for file in saved.parent.iterdir()) == ["best.json", "best.safetensors"]


def rewritten(file: Path, **changes: Any) -> None:
    """The same file with other facts; those that are `None` are left out."""
    with safetensors.safe_open(file, framework="pt") as opened:
        facts = json.loads(opened.metadata()["delineate"])
        weights = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    facts = {key: value for key, value in {**facts, **changes}.items() if value is not None}
    safetensors.torch.save_file(weights, file, metadata={"delineate": json.dumps(facts)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": None}, r"best.safetensors: its header is not that of a checkpoint: categories: Field required"),
        ({"preprocess": {"short_side": "many"}}, r"preprocess\.short_side: Input should be a valid integer"),
        ({"categories": {"class_names": ["a", "a"]}}, r"categories: class_names: a appears twice"),
        ({"system": "unett"}, r"'unett' is not in the catalog"),
        ({"version": VERSION + 1}, rf"its version is {VERSION + 1}, and this delineate reads up to {VERSION}"),
    ],
)
def test_facts_that_are_wrong_are_named(saved: Path, changes: dict[str, Any], message: str) -> None:
    rewritten(saved, **changes)
    with pytest.raises(InputError, match=message) as error:
        System.load(saved)
    assert "\n" not in str(error.value)


def test_a_pose_regressor_that_looked_once_is_read_and_one_that_looked_again_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "best.safetensors"
    categories = Categories(class_names=("a",), keypoint_names=("b", "c"))
    arguments = {"backbone": "resnet10t", "image_size": 64, "width": 8, "hidden": 8}
    model = build("pose_regressor", categories, **arguments, stages=1)
    system = System(name="pose_regressor", model=model, categories=categories, preprocess=Preprocess(size=(64, 64)))
    replace(system, arguments={**arguments, "refine": False}).save(file)
    assert System.load(file).arguments == {**arguments, "stages": 1}
    rewritten(file, arguments={**arguments, "refine": True})
    with pytest.raises(InputError, match=r"best.safetensors: its second stage \(--refine\) saw other windows"):
        System.load(file)


def test_facts_are_beside_the_weights_and_in_them(saved: Path) -> None:
    beside = json.loads(saved.with_suffix(".json").read_text())
    assert beside == read_facts(saved).model_dump(mode="json")
    assert beside["version"] == VERSION
    assert set(beside["versions"]) == {"delineate", "torch", "torchvision", "timm"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n<!DOCTYPE html>\n<html>", "an HTML page: the download went wrong"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a git-lfs pointer: run `git lfs pull`"),
        (b"", "an empty file: the download went wrong"),
        (b"PK\x03\x04", "weights of another library: `delineate import`"),
    ],
)
def test_what_a_file_is_instead_of_weights_is_said(tmp_path: Path, content: bytes, message: str) -> None:
    for name in ("best.safetensors", "weights.pth"):
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: {message}"):
            System.load(file)
        if "another library" not in message:
            with pytest.raises(InputError, match=f"{name}: {message}"):
                read_weights(file)
