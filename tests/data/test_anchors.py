import shutil
from pathlib import Path

import pytest
import torch

from delineate.data import read_dataset, synthesise
from delineate.data.anchors import find_anchors
from delineate.data.augmentation import Augmentation
from delineate.data.preprocess import Preprocess
from delineate.models.one_stage import YOLOv2
from delineate.system.system import System
from delineate.system.tasks import POSE
from delineate.training import TrainingSettings, train
from delineate.training.building import at_many_scales
from delineate.training.data import training_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anchors") / "data"
    synthesise(folder, num_images=20, image_size=(64, 64))
    return folder


def test_a_run_begins_with_its_datas_anchors_and_another_with_its(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"backbone": "resnet10t", "image_size": 64, "num_anchors": 3, "width": 16}
    options = {"model": "yolov2", "arguments": arguments, "data": data, "epochs": 1, "workers": 0}
    train(TrainingSettings(**options, out=tmp_path / "first"))
    assert "anchors: " in capsys.readouterr().err
    model = System.load(tmp_path / "first" / "best.safetensors").model
    assert isinstance(model, YOLOv2)
    expected = find_anchors(read_dataset(data, "train"), Preprocess(size=(64, 64)), 3)
    torch.testing.assert_close(model.anchors * 32, expected.sizes)
    synthesise(tmp_path / "others", num_images=10, seed=9, image_size=(64, 64))
    other = {**options, "data": tmp_path / "others"}
    train(TrainingSettings(**other, weights=tmp_path / "first", out=tmp_path / "second"))
    later = System.load(tmp_path / "second" / "best.safetensors").model
    assert torch.equal(later.anchors, model.anchors)


def test_scales_are_those_of_the_paper() -> None:
    each = at_many_scales(Augmentation(crop_size=(416, 416), scale=(0.5, 1.0)), 416)
    assert [augmentation.crop_size for augmentation in each] == [(side, side) for side in range(320, 609, 32)]
    assert each[0].scale == pytest.approx((0.5 * 320 / 416, 320 / 416))
    assert [varied.crop_size for varied in at_many_scales(Augmentation(crop_size=(32, 64)), 32)] == [(32, 64)]


def test_bodies_of_one_picture_are_held_out_together(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    for file in (tmp_path / "data").rglob("*val*"):
        if file.is_file():
            file.unlink()
    settings = TrainingSettings(model="pose_regressor", data=tmp_path / "data")
    learned, held_out, notes = training_data(settings, POSE)
    assert len(learned) > 0 < len(held_out)
    assert not set(learned.files) & set(held_out.files)
    assert any("annotated bodies" in note for note in notes)
