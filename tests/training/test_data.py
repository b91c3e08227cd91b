import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.data.small import boxes, write_yolo

from delineate.data import divide
from delineate.data.dataset import Part
from delineate.system.tasks import DETECT, SEGMENT
from delineate.training import TrainingSettings
from delineate.training.building import build_training
from delineate.training.data import remember_held_out, training_data
from delineate.training.stock import mirrored
from delineate.values import Categories, InputError


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


def training(data: Path, tmp_path: Path, **values: Any) -> TrainingSettings:
    arguments = {"backbone": "resnet10t", "image_size": 64}
    return TrainingSettings(
        **{"model": "ssd", "arguments": arguments, "data": data, "workers": 0, "out": tmp_path / "run", **values}
    )


def test_pictures_with_objects_are_held_out_and_left_to_learn_from(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2), boxes(2), *[""] * 10]})
    for seed in range(4):
        train, val, _ = training_data(training(root, tmp_path, seed=seed), DETECT)
        assert (len(train), len(val)) == (9, 3)
        assert sum(len(val[index].target) > 0 for index in range(3)) == 1


def test_the_one_picture_with_objects_is_learned_from(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": ["", boxes(2), "", ""]})
    settings = training(root, tmp_path)
    train, val, _ = training_data(settings, DETECT)
    assert (len(train), len(val)) == (4, 0)
    _, _, measured, notes = build_training(settings)
    assert measured is None
    assert "training goes on unmeasured" in notes[-1]


def test_what_is_broken_in_val_is_found_before_training(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2)] * 2, "val": [boxes(2)] * 2})
    broken = root / "images" / "val" / "1.png"
    broken.write_bytes(broken.read_bytes()[:-200])
    with pytest.raises(InputError, match=rf"{broken}: .*--skip-unreadable"):
        training_data(training(root, tmp_path), DETECT)


def test_pictures_that_are_trained_on_and_measured_on_are_said(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2)] * 3, "val": [boxes(2)]})
    for picture in (root / "images" / "val").iterdir():
        shutil.copy(picture, root / "images" / "train" / picture.name)
    _, _, notes = training_data(training(root, tmp_path), DETECT)
    assert any("1 picture of 'val' in 'train', too" in note for note in notes)


def test_the_fullest_picture_says_how_many_detections_come_out(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(3)] * 2, "val": [boxes(230)]})
    system, _, _, notes = build_training(training(root, tmp_path))
    assert system.reader.thresholds.max_detections == 300
    assert system.reader.thresholds.max_candidates == 600
    assert "the fullest picture has 230 objects: at most 300 are looked for in one" in notes
    chosen, _, _, notes = build_training(training(root, tmp_path, max_detections=150))
    assert chosen.reader.thresholds.max_detections == 150
    assert "the fullest picture has 230 objects, of which ssd finds 150 at most" in notes


def test_a_picture_with_more_objects_than_a_system_can_find_is_said(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(30)] * 2, "val": [boxes(3)]})
    arguments = {"backbone": "resnet10t", "query_side": 4, "width": 16}
    settings = training(root, tmp_path, model="detr_small", arguments=arguments)
    system, _, _, notes = build_training(settings)
    assert system.reader.thresholds.max_detections == 16
    assert "the fullest picture has 30 objects, of which detr_small finds 16 at most" in notes
    with pytest.raises(InputError, match="max_detections: detr_small finds 16 at most"):
        build_training(settings.model_copy(update={"max_detections": 20}))


def test_which_keypoints_change_places_when_mirrored_is_said() -> None:
    sided = Categories(class_names=("a",), keypoint_names=("nose", "L_Eye", "R_Eye"))
    assert mirrored(sided) == "mirrored pictures exchange L_Eye and R_Eye, and not 1 other keypoint"
    numbered = Categories(class_names=("a",), keypoint_names=("1", "2"))
    assert mirrored(numbered) == "mirrored pictures exchange none of 2 keypoints: if some are left and right, --flip 0"


def test_a_usual_set_leaves_the_thresholds_as_they_are(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(3)] * 2, "val": [boxes(3)]})
    system, *_ = build_training(training(root, tmp_path))
    assert system.reader.thresholds == system.model.reader.thresholds


def test_the_number_of_detections_is_refused_where_there_are_none(small: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="max_detections: fcn_full_resolution does not choose among detections"):
        build_training(TrainingSettings(**small, max_detections=5))


def test_what_was_held_out_is_remembered_and_held_out_again(small: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(small["data"], tmp_path / "data")
    for kind in ("images", "labels"):
        shutil.rmtree(tmp_path / "data" / kind / "val")
    values = {**small, "data": tmp_path / "data", "out": tmp_path / "run"}
    train, val, _ = training_data(TrainingSettings(**values), SEGMENT)
    remember_held_out(tmp_path / "run", TrainingSettings(**values), Part(Part(val, range(len(val))), [0]))
    again = training_data(TrainingSettings(**{**values, "seed": 1}), SEGMENT)
    assert (again[0].files, again[1].files) == (train.files, val.files)
    remember_held_out(tmp_path / "other", TrainingSettings(**values), train)
    assert not (tmp_path / "other").exists()
    val.files[0].unlink()
    (tmp_path / "data" / "labels" / "train" / val.files[0].name).unlink()
    with pytest.raises(InputError, match=r"held_out\.txt: line 2: .* is no picture of the data any more; put it back"):
        training_data(TrainingSettings(**values), SEGMENT)


def test_a_missing_split_to_train_on_is_said_with_its_option(small: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no split 'all'; there are: train, val; choose with --train-split"):
        training_data(TrainingSettings(**{**small, "train_split": "all"}), SEGMENT)


def test_what_cannot_be_read_to_train_on_is_counted_at_once_or_left_out_of_all_counts(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2)] * 12})
    folder = root / "images" / "train"
    (folder / "1.png").write_bytes(b"")
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:-200])
    (root / "labels" / "train" / "3.txt").write_text("0 0.5 0.5 a 0.1\n")
    with pytest.raises(
        InputError, match=r"^3 pictures cannot be read: .*1\.png: the file is empty.*, .*2\.png: it ends"
    ):
        training_data(training(root, tmp_path), DETECT)
    settings = training(root, tmp_path, skip_unreadable=True)
    train, val, notes = training_data(settings, DETECT)
    assert (len(train), len(val)) == (8, 1)
    assert any(note.startswith("left out 3 pictures that cannot be read: ") for note in notes)
    assert any("validating on 1 of the 9 pictures" in note for note in notes)
    _, _, _, notes = build_training(settings)
    assert "train: 8 pictures, 16 objects (cat 16)" in notes
    assert "held out: 1 picture, 2 objects (cat 2)" in notes


def test_other_splits_are_named_where_there_are_some(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2)] * 4, "other": [boxes(2)]})
    notes = training_data(training(root, tmp_path), DETECT)[2]
    assert notes[-1].endswith("; --val-split names another split (other)")
    root = write_yolo(tmp_path / "one", {"train": [boxes(2)] * 4})
    assert "--val-split" not in training_data(training(root, tmp_path), DETECT)[2][-1]


def test_a_run_that_held_out_does_not_go_on_with_data_that_were_divided_since(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2)] * 8})
    settings = training(root, tmp_path)
    remember_held_out(tmp_path / "run", settings, training_data(settings, DETECT)[1])
    divide(root, val=0.25, test=0.25)
    with pytest.raises(InputError, match=r"has a split 'val' now, and .*run held pictures out of 'train'"):
        training_data(settings, DETECT)


def test_a_held_out_picture_that_is_gone_is_passed_over_when_asked(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "data", {"train": [boxes(2)] * 14})
    settings = training(root, tmp_path)
    val = training_data(settings, DETECT)[1]
    remember_held_out(tmp_path / "run", settings, val)
    gone = val.files[0]
    gone.unlink()
    with pytest.raises(InputError, match=rf"{gone.name} is no picture of the data any more; .*--skip-unreadable"):
        training_data(settings, DETECT)
    again = training_data(training(root, tmp_path, skip_unreadable=True), DETECT)[1]
    assert list(again.files) == list(val.files)[1:]
