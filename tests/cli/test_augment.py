from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from delineate.data import read_image
from delineate.training import TrainingSettings
from delineate.training.showing import shown
from delineate.values import InputError

SMALL = {"backbone": "resnet10t", "width": 16}


def test_a_grid_is_drawn_of_what_training_sees(delineate: Callable, data: Path, tmp_path: Path) -> None:
    call = ["augment", data, "--out", tmp_path / "a.png", "-n", 2, "--epochs", 2, "--crop-size", 64, 64]
    ended = delineate(*call)
    assert ended.code == 0
    assert ended.out.startswith(f"what mask_rcnn sees of {data}")
    plain = read_image(tmp_path / "a.png")
    delineate(*call[:2], "--out", tmp_path / "b.png", *call[4:], "--rotate", 90, "--copy-paste", 1)
    turned = read_image(tmp_path / "b.png")
    assert plain.shape == turned.shape
    column = plain.shape[2] // 3
    assert torch.equal(plain[..., : column - 8], turned[..., : column - 8]), "pictures stand as they are"
    assert not torch.equal(plain, turned)
    assert "copy_paste: objects are cut out by" in delineate(*call[:4], "--for", "ssd", "--copy-paste", 1).mistake


def test_tiles_are_shown_as_they_are_trained_on(data: Path) -> None:
    settings = TrainingSettings(model="mask_rcnn", data=data, tile=32, crop_size=(32, 32), arguments=SMALL)
    pictures = list(shown(settings, 24, 1)[1])
    assert {tuple(one.picture.image.shape[1:]) for one in pictures} == {(32, 32)}
    assert all("#" in one.picture.file for one in pictures)
    assert any(one.picture.target.difficult.any() for one in pictures), "of some objects little is left"
    with pytest.raises(InputError, match="of which every tile would have one"):
        shown(TrainingSettings(model="localizer", data=data, tile=32))


def test_the_same_settings_show_the_same(data: Path) -> None:
    settings = TrainingSettings(model="mask_rcnn", data=data, crop_size=(64, 64), mosaic=1.0, mixup=0.5)
    first, second = ([one.varied for one in shown(settings, 2, 2)[1]] for _ in range(2))
    for rows in zip(first, second, strict=True):
        for one, other in zip(*rows, strict=True):
            assert torch.equal(one.image, other.image)
            assert torch.equal(one.target.boxes, other.target.boxes)
    assert not torch.equal(first[0][0].image, first[0][1].image), "each epoch another picture"
