from dataclasses import replace
from pathlib import Path

import pytest
import torch

from delineate.data import read_dataset
from delineate.data.bodies import Bodies
from delineate.data.census import Census, check_census
from delineate.data.counting import NUM_MAPS, take_census
from delineate.data.preprocess import Preprocess
from delineate.data.transforms import resized_target
from delineate.values import IGNORE, Categories, InputError, Sample, Target

from .samples import InMemory, everything
from .small import boxes, write_yolo


def maps(*values: list[int]) -> InMemory:
    """Label maps of one row, of the classes road and sky."""
    samples = []
    for number, row in enumerate(values):
        target = Target(image_size=(1, len(row)), label_map=torch.tensor([row]))
        image = torch.zeros(3, 1, len(row), dtype=torch.uint8)
        samples.append(Sample(image=image, target=target, file=f"{number}.png"))
    names = ("road", "sky")
    return InMemory(samples, Categories(class_names=names, label_map_names=names), frozenset({"label_map"}))


def test_one_line_counts_what_is_there() -> None:
    census = take_census(everything())
    assert census.line("train") == (
        "train: 3 pictures, 2 objects (person 1, ring 1), 1 of them with 2 keypoints, "
        "2 pictures without an object that counts, 1 crowd, 1 difficult object"
    )
    assert census.remarks("train") == ["train: no object of bird"]
    assert (census.most, list(census.counts)) == (2, [2, 0, 0])


def test_pictures_without_annotation_and_objects_below_a_pixel_are_counted(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, {"train": [boxes(1100, side=0.02), boxes(2, 1, side=0.5), "", ""]}, size=(40, 60))
    census = take_census(read_dataset(root, "train"), Preprocess(size=(32, 48)))
    assert census.line("train") == (
        "train: 4 pictures, 1,102 objects (cat 1,100, dog 2), 2 pictures without annotation, "
        "1,100 objects below a pixel at 32 x 48"
    )
    assert census.most == 1100


def test_what_is_counted_below_a_pixel_is_what_training_drops(tmp_path: Path) -> None:
    sides = [0.01, 0.02, 0.03, 0.031, 0.032, 0.05]
    root = write_yolo(tmp_path, {"train": ["".join(boxes(1, side=side) for side in sides)]}, size=(50, 70))
    dataset, preprocess = read_dataset(root, "train"), Preprocess(size=(32, 32))
    left = len(resized_target(dataset[0].target, preprocess))
    assert take_census(dataset, preprocess).num_small == len(dataset[0].target) - left > 0


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["", ""], r"nothing to learn from: there is no object in 2 pictures"),
        ([boxes(3, side=0.01)], r"all 3 objects are below a pixel at 64 x 64; choose a larger --image-size"),
    ],
)
def test_nothing_to_learn_from_names_the_first_picture_and_its_annotation(
    tmp_path: Path, labels: list[str], reason: str
) -> None:
    dataset = read_dataset(write_yolo(tmp_path, {"train": labels}), "train")
    census = take_census(dataset, Preprocess(size=(64, 64)))
    with pytest.raises(InputError, match=rf"^here: .*{reason}.*images/train/0.png, was .* in .*labels/train/0.txt$"):
        check_census(census, dataset, "here", "learn")


def test_an_annotation_that_is_not_there_is_said(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, {"train": [""]})
    (root / "labels" / "train").rename(root / "labels" / "training")
    dataset = read_dataset(root, "train")
    with pytest.raises(InputError, match=r"labels/train/0.txt, which is not there; .*, and there is .*training/0.txt$"):
        check_census(take_census(dataset), dataset, "here", "learn")


def test_where_nothing_is_left_it_is_said_what_was_left_out(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, {"train": [boxes(3, side=0)]})
    dataset = read_dataset(root, "train")
    with pytest.raises(InputError, match=r"there is no object .* 3 objects without area, left out"):
        check_census(take_census(dataset), dataset, "data", "learn")


def test_small_objects_are_no_reason_not_to_measure(tmp_path: Path) -> None:
    dataset = read_dataset(write_yolo(tmp_path, {"val": [boxes(3, side=0.01)]}), "val")
    check_census(take_census(dataset, Preprocess(size=(64, 64))), dataset, "here", "measure")


def test_crowds_alone_are_nothing() -> None:
    busy = everything()[0]
    crowded = replace(busy, target=replace(busy.target, crowd=torch.ones(3, dtype=torch.bool)))
    dataset = InMemory([crowded])
    with pytest.raises(InputError, match="nothing to measure on: of 3 crowds none counts"):
        check_census(take_census(dataset), dataset, "here", "measure")


def test_bodies_are_counted_by_their_joints() -> None:
    whole = everything()
    census = take_census(Bodies(whole))
    assert census.num_pictures == len(set(Bodies(whole).files))
    assert census.num_posed == len(Bodies(whole)) > 0
    target = whole[0].target
    assert target.visibility is not None
    none = InMemory([replace(whole[0], target=replace(target, visibility=torch.zeros_like(target.visibility)))])
    with pytest.raises(InputError, match=r"no object has an annotated keypoint; .*busy"):
        check_census(take_census(Bodies(none)), Bodies(none), "here", "measure")


def test_objects_without_a_joint_teach_no_keypoints() -> None:
    census = Census(num_pictures=1, classes={"person": 2}, counts=[2], num_posed=0)
    assert census.lacks("learn") == "none of 2 objects has an annotated keypoint"
    assert census.lacks("measure") == ""


def test_of_label_maps_the_pixels_are_counted() -> None:
    census = take_census(maps([0, 0, 0, 1], [0, 0, 1, IGNORE]))
    assert census.line("val") == "val: 2 pictures, pixels of 2 label maps: road 62.5%, sky 25.0%, 12.5% ignored"
    assert census.remarks("val") == []


def test_a_class_that_never_occurs_beside_much_that_is_ignored_is_questioned() -> None:
    assert take_census(maps([0, 0, 0, IGNORE])).remarks("train") == [
        "train: no pixel of sky in 1 label map, and 25% of the pixels are ignored: is a value not what was meant?"
    ]
    assert take_census(maps([0] * 4)).remarks("train") == ["train: no pixel of sky in 1 label map"]


def test_label_maps_are_looked_at_until_a_pixel_counts() -> None:
    rows = [[IGNORE]] * (2 * NUM_MAPS)
    dataset = maps(*rows)
    with pytest.raises(InputError, match=f"every pixel of {2 * NUM_MAPS} label maps is ignored"):
        check_census(take_census(dataset), dataset, "here", "learn")
    assert take_census(maps(*rows[:-1], [1])).lacks("learn") == ""
    assert take_census(maps(*[[0]] * (2 * NUM_MAPS))).num_maps == NUM_MAPS


def test_an_annotation_that_cannot_be_read_is_named_or_counted(tmp_path: Path) -> None:
    dataset = read_dataset(write_yolo(tmp_path, {"train": [boxes(1), "0 nonsense\n", ""]}), "train")
    with pytest.raises(InputError, match=r"labels/train/1.txt: line 1: .*--skip-unreadable"):
        take_census(dataset)
    census = take_census(dataset, skip_unreadable=True)
    assert census.line("train").endswith("1 picture without annotation, 1 picture that cannot be read")


def test_many_classes_are_listed_by_the_most_frequent() -> None:
    census = Census(num_pictures=2, classes={f"class {number}": number for number in range(9)}, counts=[36, 0])
    assert "(class 8 8, class 7 7, class 6 6, class 5 5, class 4 4 and 3 more)" in census.line("train")
