"""A run that begins with an earlier one goes by names, trains as that one was trained, and sees pictures as it did."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.conftest import write_split

from delineate.data import synthesise
from delineate.data.preprocess import Preprocess
from delineate.models.one_stage import YOLOv2
from delineate.system.system import System
from delineate.training import Run, TrainingSettings, train
from delineate.training.building import build_training
from delineate.training.earlier import as_asked


@pytest.fixture(scope="module")
def earlier(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of red, green and blue, whose settings are nobody's defaults."""
    settings = TrainingSettings(
        model="fcn_full_resolution",
        arguments={"width": 4, "depth": 2},
        data=data,
        batch_size=3,
        optimizer="sgd",
        learning_rate=0.01,
        scale=(1.0, 1.0),
        crop_size=(32, 32),
        epochs=1,
        workers=0,
        out=tmp_path_factory.mktemp("earlier") / "run",
    )
    return train(settings).folder


def begun_with(earlier: Path, data: Path, **changes: Any) -> tuple[System, list[str]]:
    settings = {"model": "fcn_full_resolution", "data": data, "weights": earlier, "workers": 0, **changes}
    system, _, _, notes = build_training(as_asked(TrainingSettings(**settings))[0])
    return system, notes


def test_heads_go_by_the_names_of_the_classes(earlier: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "classes.txt").write_text("yellow\nred\ngreen\n")
    system, notes = begun_with(earlier, tmp_path / "data")
    assert f"weights: those of {earlier}" in notes
    assert "classes carried over by name: red, green; begun anew: yellow; left out: blue" in notes
    images = torch.rand(1, 3, 32, 32)
    before, after = (one.model.eval()(images).logits for one in (System.load(Run(earlier).best), system))
    torch.testing.assert_close(after[:, 1:], before[:, :2])


def test_where_no_name_stays_the_heads_begin_anew(earlier: Path, tmp_path: Path) -> None:
    write_split(tmp_path, "train", 4, seed=2)
    (tmp_path / "classes.txt").write_text("one\ntwo\nthree\n")
    _, notes = begun_with(earlier, tmp_path)
    assert f"weights: those of {earlier}, but for network.2, which begin anew" in notes
    assert "classes carried over by name: none; begun anew: one, two, three; left out: red, green, blue" in notes


def test_it_is_trained_as_the_earlier_run_was_where_nothing_else_is_given(earlier: Path, data: Path) -> None:
    given = {"model": "fcn_full_resolution", "data": data, "weights": earlier, "batch_size": 2}
    asked, (note,) = as_asked(TrainingSettings(**given))
    assert (asked.batch_size, asked.optimizer, asked.learning_rate, asked.scale) == (2, "sgd", 0.01, (1.0, 1.0))
    assert (asked.crop_size, asked.epochs, asked.workers, asked.out) == ((32, 32), None, None, None)
    assert asked.arguments == {"width": 4, "depth": 2, "dice": 0.0}
    assert note.startswith(f"as {earlier} was trained, where nothing else is given: optimizer sgd, learning_rate 0.01")
    other, _ = as_asked(TrainingSettings(**given, optimizer="adamw"))
    assert (other.optimizer, other.learning_rate, other.scale) == ("adamw", None, (1.0, 1.0))
    larger, _ = as_asked(TrainingSettings(**given, short_side=48))
    assert (larger.short_side, larger.crop_size) == (48, None)


def test_weights_without_a_run_say_nothing_of_training(earlier: Path, data: Path, tmp_path: Path) -> None:
    shutil.copy(Run(earlier).best, tmp_path / "imported.safetensors")
    settings = TrainingSettings(model="fcn_full_resolution", data=data, weights=tmp_path / "imported.safetensors")
    asked, notes = as_asked(settings)
    assert (asked.optimizer, asked.arguments["width"], notes) == ("adamw", 4, [])


def test_class_weights_are_not_taken_from_an_earlier_run(data: Path, tmp_path: Path) -> None:
    settings = {"model": "fcn_full_resolution", "arguments": {"width": 4, "depth": 1}, "data": data, "workers": 0}
    options = {"epochs": 1, "class_weights": "median_frequency", "out": tmp_path / "run"}
    run = train(TrainingSettings(**settings, **options)).folder
    weighing = [begun_with(run, data, **changes)[0] for changes in ({}, {"class_weights": "none"})]
    first, second = (system.model.class_weights for system in weighing)
    assert not torch.equal(first, torch.ones(3))
    assert torch.equal(second, torch.ones(3))


def test_anchors_of_another_number_are_found_anew(tmp_path: Path) -> None:
    synthesise(tmp_path / "data", num_images=8, image_size=(64, 64))
    own = {"backbone": "resnet10t", "image_size": 64, "num_anchors": 3, "width": 16}
    settings = {"model": "yolov2", "data": tmp_path / "data", "workers": 0}
    run = train(TrainingSettings(**settings, arguments=own, epochs=1, out=tmp_path / "run")).folder
    system, notes = begun_with(run, tmp_path / "data", model="yolov2", arguments={"num_anchors": 2})
    assert isinstance(system.model, YOLOv2)
    assert len(system.model.anchors) == 2
    assert any(note.startswith("anchors: ") for note in notes)


def test_pictures_are_normalised_as_those_of_the_backbones_weights(data: Path, tmp_path: Path) -> None:
    import timm

    published = timm.create_model("test_resnet", pretrained=False).state_dict()
    torch.save(published, tmp_path / "backbone.pth")
    settings = {"model": "unet", "arguments": {"backbone": "test_resnet"}, "data": data}
    system, _, _, notes = build_training(TrainingSettings(**settings, backbone_weights=tmp_path / "backbone.pth"))
    assert (system.preprocess.mean, system.preprocess.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    (note,) = (note for note in notes if note.startswith("backbone_weights: "))
    assert "but for fc.weight, fc.bias, which have no place in test_resnet" in note
    assert note.endswith("normalised as theirs were: mean 0.5, 0.5, 0.5; std 0.5, 0.5, 0.5")
    scratch, *_ = build_training(TrainingSettings(**settings))
    assert scratch.preprocess == Preprocess()


def test_the_backbone_of_an_earlier_run_brings_its_own_statistics(data: Path, tmp_path: Path) -> None:
    settings = {"arguments": {"backbone": "test_resnet"}, "data": data}
    system, *_ = build_training(TrainingSettings(model="unet", **settings))
    system = replace(system, preprocess=Preprocess(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)))
    system.save(tmp_path / "earlier.safetensors")
    later, *_ = build_training(
        TrainingSettings(model="fcn8s", **settings, backbone_weights=tmp_path / "earlier.safetensors")
    )
    assert later.preprocess == system.preprocess
    weights = [one.model.network.encoder.state_dict() for one in (system, later)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
