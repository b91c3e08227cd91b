"""A run begins with ImageNet weights: they are found, learn at rates of their own, and thaw when it is time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.optim import AdamW

from delineate.nn.backbones import PLACE, Backbone
from delineate.system.catalog import CATALOG
from delineate.system.system import System
from delineate.training import Run, TrainingSettings, resume, train
from delineate.training.backbones import find_published, from_scratch
from delineate.training.building import build_training
from delineate.training.optimisation import make_optimizer
from delineate.values import InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), tmp_path / "test_resnet.safetensors")
    return tmp_path / "test_resnet.safetensors"


@pytest.fixture(autouse=True)
def _nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(PLACE, raising=False)
    monkeypatch.setattr("delineate.nn.backbones.published.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


def unet(data: Path, **changes: Any) -> TrainingSettings:
    settings = {"model": "unet", "data": data, "arguments": {"backbone": "test_resnet"}, "workers": 0, **changes}
    return TrainingSettings(**settings)


@pytest.mark.parametrize("place", ["file", "folder"])
def test_weights_that_are_named_are_found(file: Path, place: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLACE, str(file if place == "file" else file.parent))
    settings, notes = find_published(unet(data, pretrained="auto"))
    assert (settings.backbone_weights, settings.pretrained) == (file, "none")
    assert notes == [f"pretrained: backbone test_resnet (its usual one is resnet18), from {file}"]


def test_where_no_backbone_is_given_it_follows_the_weights(
    file: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACE, str(file))
    settings, _ = find_published(unet(data, pretrained="auto", arguments={}))
    assert settings.arguments == {"backbone": "test_resnet"}
    kept, notes = find_published(unet(data, pretrained="auto", arguments={"backbone": "resnet10t"}))
    assert kept.backbone_weights is None
    assert notes[0].startswith("pretrained: no weights of resnet10t are on this machine")
    segnet, _ = find_published(TrainingSettings(model="segnet", data=data, pretrained="auto"))
    assert segnet.backbone_weights is None  # it needs a VGG, whose poolings it undoes


def test_an_earlier_download_is_found(data: Path, tmp_path: Path) -> None:
    url = timm.get_pretrained_cfg("resnet18").url
    cached = tmp_path / "hub" / "checkpoints" / Path(url).name
    cached.parent.mkdir(parents=True)
    torch.save(timm.create_model("resnet18", pretrained=False).state_dict(), cached)
    settings, notes = find_published(unet(data, pretrained="auto", arguments={}))
    assert settings.backbone_weights == cached
    assert notes == [f"pretrained: backbone resnet18, from {cached}"]


@pytest.mark.parametrize("name", ["nowhere.safetensors", "my_weights.safetensors"])
def test_a_place_without_weights_is_refused(
    name: str, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_weights.safetensors").touch()
    monkeypatch.setenv(PLACE, str(tmp_path / name))
    with pytest.raises(InputError, match=f"^{PLACE}=.*{name}: no"):
        find_published(unet(data, pretrained="auto"))


def test_what_an_earlier_version_saved_as_pretrained_is_read(data: Path) -> None:
    assert [unet(data, pretrained=value).pretrained for value in (True, False)] == ["download", "none"]


def test_a_recipe_of_fine_tuning_holds_with_weights_alone(
    file: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = CATALOG["unet"]
    changed = replace(entry, recipe={"flip": 0.1}, fine_tuning={"backbone_rate": 0.3, "flip": 0})
    monkeypatch.setitem(CATALOG, "unet", changed)
    chosen = [
        (settings.backbone_rate, settings.flip)
        for settings in (
            unet(data),
            unet(data, backbone_weights=file),
            unet(data, backbone_weights=file, backbone_rate=0.5),
            find_published(unet(data, pretrained="auto"))[0],
        )
    ]
    assert chosen == [(1, 0.1), (0.3, 0), (0.5, 0), (1, 0.1)]


def test_the_backbone_learns_at_its_own_rate_and_earlier_stages_more_slowly(data: Path) -> None:
    settings = unet(data, backbone_rate=0.5, layer_decay=0.1)
    system, *_ = build_training(settings)
    optimizer = make_optimizer(system.model, settings)
    shares = {weight: group["share"] for group in optimizer.param_groups for weight in group["params"]}
    (backbone,) = (module for module in system.model.modules() if isinstance(module, Backbone))
    stages = backbone.stages()
    for depth, stage in enumerate(reversed(stages)):
        assert {shares[weight] for weight in stage.parameters()} == {0.5 * 0.1**depth}
    inside = set(backbone.parameters())
    assert {shares[weight] for weight in system.model.parameters() if weight not in inside} == {1.0}
    assert isinstance(optimizer, AdamW)
    assert len(shares) == len(list(system.model.parameters()))


def test_frozen_stages_thaw_when_it_is_time_and_a_resumed_run_ends_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"freeze_until": 1, "thaw": 0.5, "ema": None, "epochs": 4, "batch_size": 8, "crop_size": (32, 32)}

    def first_layer(run: Path) -> torch.Tensor:
        return System.load(Run(run).last).model.state_dict()["network.encoder.body.conv1.0.weight"].clone()

    seen: list[torch.Tensor] = []
    end = "delineate.training.loop.end_epoch"
    import delineate.training.loop as loop

    kept = loop.end_epoch

    def watch(learner: Any, session: Any, *, over: bool) -> None:
        seen.append(learner.system.model.state_dict()["network.encoder.body.conv1.0.weight"].clone())
        if len(seen) == 3 and not resumed:
            kept(learner, session, over=over)
            raise KeyboardInterrupt
        kept(learner, session, over=over)

    monkeypatch.setattr(end, watch)
    resumed = True
    whole = train(unet(data, **settings, out=tmp_path / "whole")).folder
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
    seen.clear()
    resumed = False
    with pytest.raises(KeyboardInterrupt):
        train(unet(data, **settings, out=tmp_path / "stopped"))
    resumed = True
    assert torch.equal(first_layer(resume(tmp_path / "stopped").folder), first_layer(whole))


@pytest.mark.parametrize(
    ("place", "backbone", "how"),
    [
        ("", "test_resnet", "--pretrained download fetches test_resnet's"),
        ("nowhere", "test_resnet", "--pretrained download fetches test_resnet's"),
        ("test_resnet.safetensors", "test_resnet", "--pretrained auto takes those on this machine"),
        (
            "test_resnet.safetensors",
            "resnet10t",
            "--backbone test_resnet --pretrained auto takes those on this machine",
        ),
    ],
)
def test_training_few_pictures_from_scratch_says_what_would_help(
    place: str, backbone: str, how: str, file: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place:
        monkeypatch.setenv(PLACE, str(file.parent / place))
    settings = unet(data, arguments={"backbone": backbone})
    system, *_ = build_training(settings)
    (line,) = from_scratch(settings, system.model, 205)
    assert line.startswith("from scratch on 205 pictures: with fewer than 1,000")
    assert line.endswith(f"; {how}")
    assert from_scratch(settings, system.model, 1000) == []
    assert from_scratch(unet(data, backbone_weights=file), system.model, 205) == []


def test_weights_that_the_system_cannot_have_are_not_offered(
    file: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACE, str(file))
    settings = TrainingSettings(model="segnet", data=data, arguments={"backbone": "vgg11_bn"})
    system, *_ = build_training(settings)
    (line,) = from_scratch(settings, system.model, 205)
    assert line.endswith("; --pretrained download fetches vgg11_bn's")


def test_a_file_of_another_backbone_is_named_by_the_option_for_it(file: Path, data: Path) -> None:
    with pytest.raises(InputError, match=r"its name says test_resnet: add --backbone test_resnet"):
        build_training(unet(data, arguments={"backbone": "resnet10t"}, backbone_weights=file))


def test_several_processes_cannot_thaw(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^thaw: "):
        train(unet(data, freeze_until=0, thaw=0.5, devices=2, device="cpu", out=tmp_path / "run"))
