import shutil
from pathlib import Path
from typing import Any

from delineate.system.tasks import SEGMENT
from delineate.training import TrainingSettings
from delineate.training.data import training_data


def test_without_a_validation_split_some_pictures_are_held_out(small: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(small["data"], tmp_path / "data")
    for kind in ("images", "labels"):
        shutil.rmtree(tmp_path / "data" / kind / "val")
    settings = TrainingSettings(**{**small, "data": tmp_path / "data"})
    train, val, notes = training_data(settings, SEGMENT)
    assert (len(train), len(val)) == (11, 2)
    assert len({*train.files, *val.files}) == 13
    assert train[3].file == str(train.files[3])
    assert "no split 'val': validating on 2 of the 13 pictures" in notes[-1]
    assert [*training_data(settings, SEGMENT)[1].files] == [*val.files]


def test_unreadable_validation_pictures_are_named_and_left_out_when_asked(
    small: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(small["data"], tmp_path / "data")
    broken = tmp_path / "data" / "images" / "val" / "1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    settings = TrainingSettings(**{**small, "data": tmp_path / "data", "skip_unreadable": True})
    _, val, notes = training_data(settings, SEGMENT)
    assert len(val) == 2
    assert str(broken) in notes[-1]
