from pathlib import Path

import pytest
from PIL import Image
from tests.data.samples import assert_targets_equal

from delineate.data.formats import mask_folder, yolo
from delineate.values import InputError

BOX = "1 0.5 0.5 0.5 0.5\n"


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20)).save(path)


def text(path: Path, words: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words)


def roboflow(root: Path) -> list[str]:
    for split in ("train", "valid"):
        picture(root / split / "a_jpg.rf.1.jpg")
        text(root / split / "a_jpg.rf.1.txt", BOX)
        text(root / split / "_darknet.labels", "cat\ndog\n")
    return ["train", "valid"]


def darknet(root: Path) -> list[str]:
    """As the original and CVAT write it: paths begin at the folder above, or at one that is not there."""
    picture(root / "obj_train_data" / "a.jpg")
    text(root / "obj_train_data" / "a.txt", BOX)
    text(root / "train.txt", "data/obj_train_data/a.jpg\n")
    text(root / "obj.names", "cat\ndog\n")
    text(root / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    return ["train"]


def original_darknet(root: Path) -> list[str]:
    picture(root / "data" / "obj" / "a.jpg")
    text(root / "data" / "obj" / "a.txt", BOX)
    for name in ("train", "test"):
        text(root / "data" / f"{name}.txt", "data/obj/a.jpg\n")
    text(root / "data" / "obj.names", "cat\ndog\n")
    text(root / "data" / "obj.data", "classes=2\ntrain=data/train.txt\nvalid=data/test.txt\nnames=data/obj.names\n")
    return ["train", "valid"]


def beside(root: Path) -> list[str]:
    """As labelImg writes: names, labels and pictures in one folder."""
    picture(root / "a.jpg")
    text(root / "a.txt", BOX)
    text(root / "classes.txt", "cat\ndog\n")
    return ["all"]


def label_studio(root: Path) -> list[str]:
    picture(root / "images" / "a.jpg")
    text(root / "labels" / "a.txt", BOX)
    text(root / "classes.txt", "cat\ndog\n")
    text(root / "notes.json", "{}")
    return ["all"]


def splits_without_yaml(root: Path) -> list[str]:
    for split in ("train", "val"):
        picture(root / "images" / split / "a.jpg")
        text(root / "labels" / split / "a.txt", BOX)
        text(root / "labels" / split / "classes.txt", "cat\ndog\n")
    return ["train", "val"]


def in_a_voc_folder(root: Path) -> list[str]:
    """As Darknet's own script makes of VOC."""
    picture(root / "JPEGImages" / "a.jpg")
    text(root / "labels" / "a.txt", BOX)
    text(root / "train.txt", "/home/somebody/VOC/JPEGImages/a.jpg\n")
    text(root / "voc.names", "cat\ndog\n")
    text(root / "voc.data", "train=train.txt\nnames=voc.names\n")
    return ["train"]


def lists_without_yaml(root: Path) -> list[str]:
    picture(root / "images" / "a.jpg")
    text(root / "labels" / "a.txt", BOX)
    text(root / "train.txt", "images/a.jpg\n")
    text(root / "obj.names", "cat\ndog\n")
    return ["train"]


@pytest.mark.parametrize(
    "make",
    [
        roboflow,
        darknet,
        original_darknet,
        beside,
        label_studio,
        splits_without_yaml,
        lists_without_yaml,
        in_a_voc_folder,
    ],
)
def test_round_trips_of_layouts_without_yaml(tmp_path: Path, make: object) -> None:
    assert callable(make)
    root = tmp_path / "set"
    splits = make(root)
    assert yolo.recognises(root)
    assert not mask_folder.recognises(root)
    assert yolo.splits(root) == splits
    for split in splits:
        read = yolo.read(root, split)
        assert read.categories.class_names == ("cat", "dog")
        assert [sample.target.boxes.tolist() for sample in read] == [[[10, 5, 30, 15]]]
        assert [line for line in read.problems if "is not there; " not in line] == []
        yolo.write(read, tmp_path / "again", split)
        again = yolo.read(tmp_path / "again", split)
        assert again.categories == read.categories
        assert_targets_equal(again[0].target, read[0].target, "boxes", "labels")


def test_what_either_side_lacks_is_said_where_both_are_in_one_folder(tmp_path: Path) -> None:
    beside(tmp_path)
    picture(tmp_path / "b.jpg")
    text(tmp_path / "c.txt", BOX)
    text(tmp_path / "README.txt", "What people write.")
    assert yolo.read(tmp_path, "all").problems == [
        f"{tmp_path}: 1 picture without label file, taken as empty: b.jpg",
        f"{tmp_path}: 1 label file without picture, left out: c.txt",
    ]


def test_names_that_differ_between_folders_are_refused(tmp_path: Path) -> None:
    roboflow(tmp_path)
    text(tmp_path / "valid" / "_darknet.labels", "dog\ncat\n")
    with pytest.raises(InputError, match=r"valid/_darknet\.labels: lists other classes than .*train/_darknet\.labels"):
        yolo.read(tmp_path, "train")


def test_an_empty_list_of_names_is_refused(tmp_path: Path) -> None:
    beside(tmp_path)
    text(tmp_path / "classes.txt", "")
    with pytest.raises(InputError, match=r"classes\.txt: names: the list of the classes is empty"):
        yolo.read(tmp_path, "all")


def test_a_line_of_obj_data_that_is_none_is_refused(tmp_path: Path) -> None:
    darknet(tmp_path)
    text(tmp_path / "obj.data", "classes 2\nnames = obj.names\n")
    with pytest.raises(InputError, match=r"obj\.data: 'classes 2' is no 'key = value'"):
        yolo.read(tmp_path, "train")


def test_names_beside_anything_but_label_files_are_not_recognised(tmp_path: Path) -> None:
    text(tmp_path / "classes.txt", "cat\ndog\n")
    text(tmp_path / "train.txt", "")
    picture(tmp_path / "images" / "a.jpg")
    assert not yolo.recognises(tmp_path)
    text(tmp_path / "iris.data", "5.1,3.5,1.4,0.2,Iris-setosa")
    (tmp_path / "labels").mkdir()
    Image.new("L", (40, 20)).save(tmp_path / "labels" / "a.png")
    assert not yolo.recognises(tmp_path)
    assert mask_folder.recognises(tmp_path)


def test_folders_are_the_splits_of_a_yaml_file_without_any(tmp_path: Path) -> None:
    splits_without_yaml(tmp_path)
    text(tmp_path / "data.yaml", "names: [cat, dog]\n")
    assert yolo.splits(tmp_path) == ["train", "val"]
    assert len(yolo.read(tmp_path, "val")[0].target) == 1
