"""Boxes that are shares of the picture are learned from whole pictures: from windows they would be other shares.

Other objects are learned from windows, which are as large as usual pictures.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.data.small import boxes, write_yolo
from torchvision.ops import box_iou

from delineate.data import read_image
from delineate.system.system import System
from delineate.training import TrainingSettings, train
from delineate.training.building import build_loader, build_training
from delineate.training.learner import make_fabric
from delineate.values import InputError

SIZE = (32, 128)
WINDOW = 64
BOXES = [(12.0, 4.0, 52.0, 28.0), (62.0, 2.0, 112.0, 30.0), (25.0, 6.0, 88.0, 30.0), (78.0, 4.0, 125.0, 24.0)]


@pytest.fixture(scope="module")
def long_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("long")
    generator = torch.Generator().manual_seed(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number, (x1, y1, x2, y2) in enumerate(BOXES * (25 if split == "train" else 1)):
            picture = torch.randint(90, 130, (*SIZE, 3), generator=generator, dtype=torch.uint8)
            picture[int(y1) : int(y2), int(x1) : int(x2)] = torch.tensor([220, 50, 40], dtype=torch.uint8)
            Image.fromarray(picture.numpy()).save(root / "images" / split / f"{number}.png")
            shares = ((x1 + x2) / 2 / SIZE[1], (y1 + y2) / 2 / SIZE[0], (x2 - x1) / SIZE[1], (y2 - y1) / SIZE[0])
            (root / "labels" / split / f"{number}.txt").write_text("0 " + " ".join(map(str, shares)) + "\n")
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [bar]\n")
    return root


def settings(data: Path, out: Path, **values: Any) -> TrainingSettings:
    arguments = {"backbone": "resnet10t", "query_side": 4, "width": 32, "num_layers": 1}
    common = {"model": "detr_small", "arguments": arguments, "data": data, "out": out, "workers": 0, "long_side": 128}
    return TrainingSettings(**{**common, "precision": "fp32", "batch_size": 4, **values})


def test_boxes_of_pictures_larger_than_windows_are_as_large_as_they_are(
    long_pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delineate.training.building.LARGEST_OF_OBJECTS", WINDOW)
    asked = settings(long_pictures, tmp_path / "run", augment="scale", scale=(1.0, 1.0), colour=0.0)
    train(asked.model_copy(update={"epochs": 7, "val_every": 7, "ema": None, "learning_rate": 2e-3}), lighter=False)
    system = System.load(tmp_path / "run" / "best.safetensors")
    images = [read_image(long_pictures / "images" / "train" / f"{number}.png") for number in range(4)]
    likeliest = torch.stack([result.boxes[0] for result in system.infer(images)])
    ious = box_iou(likeliest, torch.tensor(BOXES)).diagonal()
    widths = (likeliest[:, 2] - likeliest[:, 0]) / (torch.tensor(BOXES)[:, 2] - torch.tensor(BOXES)[:, 0])
    assert widths.mean().item() == pytest.approx(1, abs=0.15)
    assert ious.mean() > 0.7, ious


def test_pictures_of_several_sizes_are_padded_and_their_sizes_known(long_pictures: Path, tmp_path: Path) -> None:
    system, pictures, _, _ = build_training(settings(long_pictures, tmp_path / "run"))
    fabric = make_fabric(settings(long_pictures, tmp_path / "run"), torch.device("cpu"))
    loader = build_loader(settings(long_pictures, tmp_path / "run"), pictures, system, fabric)
    sizes = set()
    for epoch in range(1):
        loader.set_epoch(epoch)
        for batch in loader:
            sizes |= {target.image_size for target in batch.targets}
            assert batch.images.shape[-2:] == tuple(map(max, zip(*(t.image_size for t in batch.targets), strict=True)))
            inputs, truths = system.batch(batch.images, batch.targets)
            losses = system.model.loss(inputs, truths)
            assert all(loss.isfinite() for loss in losses.values())
    assert len(sizes) > 8


@pytest.mark.parametrize(("model", "window"), [("fcos", (480, 640)), ("fcn32s", (480, 512))])
def test_a_window_of_a_usual_picture_cuts_no_objects(model: str, window: tuple[int, int], tmp_path: Path) -> None:
    data = tmp_path / "data"
    if model == "fcos":
        write_yolo(data, {split: [boxes(2)] for split in ("train", "val")}, size=(480, 640))
    else:
        for place in (f"{kind}/{split}" for kind in ("images", "labels") for split in ("train", "val")):
            (data / place).mkdir(parents=True)
            Image.new("RGB" if "images" in place else "L", (640, 480)).save(data / place / "0.png")
        (data / "classes.txt").write_text("road\n")
    given: Any = {"model": model, "arguments": {"backbone": "resnet10t"}, "long_side": None, "scale": (1.0, 1.0)}
    asked = settings(data, tmp_path / "run", batch_size=1, **given)
    system, pictures, _, _ = build_training(asked)
    (batch,) = build_loader(asked, pictures, system, make_fabric(asked, torch.device("cpu")))
    assert batch.images.shape[-2:] == window


def test_windows_of_whole_pictures_are_refused(long_pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="crop_size: detr_small learns whole pictures, as its boxes are shares"):
        build_training(settings(long_pictures, tmp_path / "run", crop_size=(32, 64)))
