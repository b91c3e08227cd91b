import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from delineate.data import Dataset
from delineate.data.preprocess import Preprocess
from delineate.training import TrainingSettings
from delineate.training.data import check_names, median_frequency_weights, training_data, usual_size
from delineate.values import Categories, InputError, Sample, Target


class LabelMaps(Dataset):
    """Black pictures with these label maps of classes a, b, c."""

    categories = Categories(class_names=("a", "b", "c"), label_map_names=("a", "b", "c"))
    contents = frozenset({"label_map"})

    def __init__(self, *label_maps: Tensor) -> None:
        self.label_maps = label_maps
        self.files = [Path(f"{index}.png") for index in range(len(label_maps))]

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return Target(image_size=image_size, label_map=self.label_maps[index])

    def __getitem__(self, index: int) -> Sample:
        height, width = self.label_maps[index].shape
        image = torch.zeros(3, height, width, dtype=torch.uint8)
        return Sample(image=image, target=self.target(index, (height, width)), file=str(index))


def test_median_frequency_is_over_the_pictures_that_have_the_class() -> None:
    dataset = LabelMaps(
        torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1]]),  # a: 6 of 8, b: 2 of 8
        torch.tensor([[0, 0, 0, 0], [0, 0, 255, 255]]),  # a: 6 of 6
    )
    frequency = (12 / 14, 2 / 8)
    median = sum(frequency) / 2
    weights = median_frequency_weights(dataset, skip_unreadable=False)
    assert weights.tolist() == pytest.approx([median / frequency[0], median / frequency[1], 1.0])


def test_the_usual_size_is_a_multiple_of_32_of_the_resized_median() -> None:
    maps = [torch.zeros(size, dtype=torch.int64) for size in ((100, 150), (100, 150), (20, 700))]
    assert usual_size(LabelMaps(*maps), Preprocess(), skip_unreadable=False) == (96, 128)
    assert usual_size(LabelMaps(*maps[:2]), Preprocess(short_side=400), skip_unreadable=False) == (384, 512)
    assert usual_size(LabelMaps(maps[2]), Preprocess(), skip_unreadable=False) == (32, 512)


def test_without_a_validation_split_some_pictures_are_held_out(small: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(small["data"], tmp_path / "data")
    for kind in ("images", "labels"):
        shutil.rmtree(tmp_path / "data" / kind / "val")
    settings = TrainingSettings(**{**small, "data": tmp_path / "data"})
    train, val, notes = training_data(settings, "segment")
    assert (len(train), len(val)) == (11, 2)
    assert len({*train.files, *val.files}) == 13
    assert train[3].file == str(train.files[3])
    assert "no split 'val': validating on 2 of the 13 pictures" in notes[-1]
    assert [*training_data(settings, "segment")[1].files] == [*val.files]


def test_unreadable_validation_pictures_are_named_and_left_out_when_asked(
    small: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(small["data"], tmp_path / "data")
    broken = tmp_path / "data" / "images" / "val" / "1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    settings = TrainingSettings(**{**small, "data": tmp_path / "data", "skip_unreadable": True})
    _, val, notes = training_data(settings, "segment")
    assert len(val) == 2
    assert str(broken) in notes[-1]


def test_names_that_differ_are_named() -> None:
    mine = Categories(class_names=("car", "tree"), label_map_names=("car", "tree", "background"))
    check_names(mine, mine, "segment", "here")
    for names, line in (
        (("car", "bush", "background"), "1 is 'tree' where trained and 'bush' in there"),
        (("car", "tree"), "2 is 'background' where trained and no class in there"),
    ):
        other = Categories(class_names=names[:2], label_map_names=names)
        with pytest.raises(InputError, match=line):
            check_names(mine, other, "segment", "there")


def test_names_are_compared_for_what_the_task_tells_apart() -> None:
    mine = Categories(class_names=("car", "tree"), keypoint_names=("nose", "tail"))
    other = Categories(class_names=("car", "tree"), keypoint_names=("tail", "nose"))
    check_names(mine, other, "detect", "there")
    with pytest.raises(InputError, match="keypoint names: 0 is 'nose' where trained and 'tail' in there"):
        check_names(mine, other, "pose", "there")
    with pytest.raises(InputError, match="class names: 1 is 'tree' where trained and 'bush' in there"):
        check_names(mine, Categories(class_names=("car", "bush")), "detect", "there")
