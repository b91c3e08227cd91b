from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from tests.data.samples import CATEGORIES, InMemory, assert_targets_equal, everything

from delineate.data.formats import yolo
from delineate.values import IGNORE, Categories, InputError, Sample, Target


def folder(root: Path, **labels: str | None) -> Path:
    """A YOLO folder with one split of 40x20 pictures and the given label files."""
    for stem, text in labels.items():
        for name in ("images", "labels"):
            (root / name / "train").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20)).save(root / "images" / "train" / f"{stem}.jpg")
        if text is not None:
            (root / "labels" / "train" / f"{stem}.txt").write_text(text)
    describe(root, train="images/train")
    return root


def describe(root: Path, **more: object) -> None:
    (root / "data.yaml").write_text(yaml.safe_dump({"names": ["cat", "dog"], **more}))


def without(*contents: str) -> InMemory:
    dataset = everything()
    dataset.contents = dataset.contents - set(contents)
    for content in contents:
        for sample in dataset.samples:
            object.__setattr__(sample.target, content, None)
            if content == "keypoints":
                object.__setattr__(sample.target, "visibility", None)
    return dataset


def test_round_trip_of_polygons(tmp_path: Path) -> None:
    written = everything()
    assert yolo.write(written, tmp_path, "train") == [
        "crowd: 1 regions are left out",
        "difficult: 1 objects are written as ordinary ones",
        "keypoints of 1 objects: lines of polygons have none",
        "label maps of 1 pictures: YOLO holds objects, whose masks do not paint these maps",
    ]
    assert yolo.recognises(tmp_path)
    assert yolo.splits(tmp_path) == ["train"]
    read = yolo.read(tmp_path, "train")
    assert read.contents == {"boxes", "masks", "label_map"}
    assert read.categories.label_map_names == CATEGORIES.label_map_names
    assert not read.problems
    for before, after in zip(written, read, strict=True):
        assert_targets_equal(after.target, before.target[~before.target.crowd], "boxes", "labels", "masks")
        assert after.image.equal(before.image)
    assert read[1].target.label_map.equal(written[1].target.label_map)


def test_round_trip_of_poses(tmp_path: Path) -> None:
    written = without("masks", "label_map")
    assert yolo.write(written, tmp_path, "val") == [
        "crowd: 1 regions are left out",
        "difficult: 1 objects are written as ordinary ones",
    ]
    read = yolo.read(tmp_path, "val")
    assert read.contents == {"boxes", "keypoints"}
    assert read.categories == Categories(
        class_names=CATEGORIES.class_names, keypoint_names=CATEGORIES.keypoint_names, skeleton=CATEGORIES.skeleton
    )
    assert yaml.safe_load((tmp_path / "data.yaml").read_text())["flip_idx"] == [0, 2, 1]
    for before, after in zip(written, read, strict=True):
        kept = before.target[~before.target.crowd]
        assert_targets_equal(after.target, kept, "boxes", "labels", "keypoints", "visibility")


def test_round_trip_of_boxes(tmp_path: Path) -> None:
    boxes = torch.rand(50, 4, generator=torch.Generator().manual_seed(0)) * 500
    boxes = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:] + 0.5], 1)
    boxes[:40] = boxes[:40].round()
    boxes[:20, :2] = 0
    target = Target(image_size=(1001, 1013), boxes=boxes, labels=torch.arange(50) % 2)
    sample = Sample(image=torch.zeros(3, 1001, 1013, dtype=torch.uint8), target=target, file="a.png")
    dataset = InMemory([sample], Categories(class_names=("cat", "dog")), frozenset({"boxes"}))
    assert yolo.write(dataset, tmp_path, "minival") == []
    assert yolo.splits(tmp_path) == ["minival"]
    assert_targets_equal(yolo.read(tmp_path, "minival")[0].target, target, "boxes", "labels")


def test_splits_are_added_and_other_sets_are_not(tmp_path: Path) -> None:
    for split in ("train", "val"):
        yolo.write(everything(), tmp_path, split)
    assert yolo.splits(tmp_path) == ["train", "val"]
    with pytest.raises(InputError, match=r"data.yaml: describes other classes or keypoints"):
        yolo.write(without("masks", "label_map"), tmp_path, "test")


def test_what_polygons_cannot_hold_is_said(tmp_path: Path) -> None:
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, 1, 1] = True
    target = Target(
        image_size=(4, 4), boxes=torch.tensor([[0.0, 0, 3, 3], [0, 0, 1, 1]]), labels=torch.tensor([0, 1]), masks=masks
    )
    sample = Sample(image=torch.zeros(3, 4, 4, dtype=torch.uint8), target=target, file="a.png")
    dataset = InMemory([sample], Categories(class_names=("cat", "dog")), frozenset({"boxes", "masks"}))
    assert yolo.write(dataset, tmp_path, "train") == [
        "boxes of 1 objects: their masks' extents take their place",
        "masks: 1 objects without a pixel are left out",
    ]
    assert yolo.read(tmp_path, "train")[0].target.boxes.tolist() == [[1, 1, 2, 2]]


def test_label_maps_alone_are_lost_and_said(tmp_path: Path) -> None:
    target = Target(image_size=(2, 2), label_map=torch.tensor([[0, 1], [1, IGNORE]]))
    sample = Sample(image=torch.zeros(3, 2, 2, dtype=torch.uint8), target=target, file="a.png")
    names = ("road", "sky")
    dataset = InMemory([sample], Categories(class_names=names, label_map_names=names), frozenset({"label_map"}))
    (line,) = yolo.write(dataset, tmp_path, "train")
    assert line.startswith("label maps of 1 pictures")


def test_lines_of_boxes(tmp_path: Path) -> None:
    root = folder(tmp_path, a="1 0.5 0.5 0.5 0.5\n\n0 0.995 0.25 0.02 0.5\n", b="", c=None)
    dataset = yolo.read(root, "train")
    assert dataset.contents == {"boxes"}
    target = dataset[0].target
    torch.testing.assert_close(target.boxes, torch.tensor([[10.0, 5, 30, 15], [39.4, 0, 40, 10]]))
    assert target.labels.tolist() == [1, 0]
    assert [len(dataset[index].target) for index in (1, 2)] == [0, 0]


def test_lines_of_polygons(tmp_path: Path) -> None:
    root = folder(tmp_path, a=None, b="0 0.25 0 0.5 0 0.5 1.004 0.25 1\n1 0 0.25 1 0.25 1 0.5 0 0.5")
    target = yolo.read(root, "train")[1].target
    assert target.boxes.tolist() == [[10, 0, 20, 20], [0, 5, 40, 10]]
    assert target.masks[0, :, 10:20].all()
    assert target.masks.sum((1, 2)).tolist() == [200, 200]
    assert [target.label_map[y, x] for y, x in ((0, 0), (0, 10), (5, 0))] == [2, 0, 1]


def test_a_polygon_among_boxes_gives_its_box(tmp_path: Path) -> None:
    root = folder(tmp_path, a="0 0.5 0.5 0.5 0.5\n1 0 0.25 1 0.25 1 0.5")
    assert yolo.read(root, "train")[0].target.boxes.tolist() == [[10, 5, 30, 15], [0, 5, 40, 10]]


def test_poses_of_two_numbers_a_keypoint(tmp_path: Path) -> None:
    root = folder(tmp_path, a="0 0.5 0.5 0.5 0.5 0 0 0.25 0.75")
    describe(root, train="images/train", kpt_shape=[2, 2])
    dataset = yolo.read(root, "train")
    target = dataset[0].target
    assert dataset.categories.keypoint_names == ("keypoint_0", "keypoint_1")
    assert target.keypoints.tolist() == [[[0, 0], [10, 15]]]
    assert target.visibility.tolist() == [[0, 2]]


def test_lines_without_area_are_left_out_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a="0 0.5 0.5 0 0.5\n1 0.5 0.5 0.5 0.5\n")
    dataset = yolo.read(root, "train")
    assert dataset[0].target.labels.tolist() == [1]
    assert dataset.problems == [f"{root / 'labels/train/a.txt'}: line 1 has no area; left out"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", "4 numbers; a box has 5"),
        ("0 0.5 0.5 0.5 0.5 0.5", "6 numbers; a box has 5"),
        ("0 0.5 0.5 cat 0.5", "'0 0.5 0.5 cat 0.5' is not made of numbers alone"),
        ("2 0.5 0.5 0.5 0.5", r"class 2 is not in 0\.\.1"),
        ("0.5 0.5 0.5 0.5 0.5", r"class 0.5 is not in 0\.\.1"),
        ("-1 0.5 0.5 0.5 0.5", r"class -1 is not in 0\.\.1"),
        ("0 20 10 20 10", r"outside 0\.\.1; divide x by the width"),
        ("0 nan 0.5 0.5 0.5", r"outside 0\.\.1"),
    ],
)
def test_mistakes_in_a_line_are_named(tmp_path: Path, line: str, message: str) -> None:
    root = folder(tmp_path, a="0 0.5 0.5 0.5 0.5", b=f"\n{line}")
    with pytest.raises(InputError, match=rf"labels/train/b\.txt: line 2: .*{message}"):
        yolo.read(root, "train")[1]


def test_a_box_among_polygons_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path, a="1 0 0.25 1 0.25 1 0.5\n0 0.5 0.5 0.5 0.5")
    with pytest.raises(InputError, match=r"a\.txt: line 2: a box among polygons"):
        yolo.read(root, "train")[0]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ("0.5 0.5 0.5 0.5", r"kpt_shape \[1, 3\] needs 8"),
        ("0.5 0.5 0.5 0.5 0.1 0.1 3", "visibility, 0, 1 or 2"),
        ("0.5 0.5 0.5 0.5 inf 0.1 2", "not finite"),
    ],
)
def test_mistakes_in_a_pose_are_named(tmp_path: Path, numbers: str, message: str) -> None:
    root = folder(tmp_path, a=f"0 {numbers}")
    describe(root, train="images/train", kpt_shape=[1, 3])
    with pytest.raises(InputError, match=rf"a\.txt: line 1: .*{message}"):
        yolo.read(root, "train")[0]


@pytest.mark.parametrize(
    "entry",
    [
        {"path": ".", "train": "images/train"},
        {"path": "elsewhere", "train": ["images/train"]},
        {"train": "../images/train"},
        {"train": "train.txt"},
    ],
)
def test_where_the_pictures_are(tmp_path: Path, entry: dict[str, object]) -> None:
    root = folder(tmp_path / "images" / "set", a="0 0.5 0.5 0.5 0.5", b=None)
    describe(root, **entry)
    (root / "train.txt").write_text("./images/train/a.jpg\nimages/train/b.jpg\n")
    for place in (root, root / "data.yaml"):
        dataset = yolo.read(place, "train")
        assert [len(sample.target) for sample in dataset] == [1, 0]


def test_names_as_a_mapping(tmp_path: Path) -> None:
    root = folder(tmp_path, a=None)
    describe(root, train="images/train", names={1: "b", 0: "a"})
    assert yolo.read(root, "train").categories.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"names": {1: "cat", 2: "dog"}}, r"names: the keys are \[1, 2\], not 0..1"),
        ({"names": ["cat", "cat"]}, "class_names: cat appears twice"),
        ({"kpt_shape": 17}, r"kpt_shape: 17 is not"),
        ({"kpt_shape": [2, 3], "kpt_names": ["nose"]}, "kpt_names: 1 names for the 2 of kpt_shape"),
        ({"train": "pictures"}, "'pictures' is not there; looked for"),
    ],
)
def test_mistakes_in_the_description_are_named(tmp_path: Path, more: dict[str, object], message: str) -> None:
    root = folder(tmp_path, a=None)
    describe(root, **{"train": "images/train", **more})
    with pytest.raises(InputError, match=rf"data\.yaml: {message}"):
        yolo.read(root, "train")


def test_a_broken_description_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [cat\n")
    with pytest.raises(InputError, match=r"data\.yaml: this is no YAML"):
        yolo.splits(tmp_path)
    assert not yolo.recognises(tmp_path / "elsewhere")
