from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from tests.data.samples import CATEGORIES, InMemory, assert_targets_equal, everything

from delineate.data import pairing
from delineate.data.formats import yolo
from delineate.data.formats.yolo import labels as label_files
from delineate.values import IGNORE, Categories, InputError, Sample, Target

BOX = "0 0.5 0.5 0.5 0.5"


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
    dataset = yolo.read(root, "train")
    assert dataset.contents == {"boxes"}
    assert dataset[0].target.boxes.tolist() == [[10, 5, 30, 15], [0, 5, 40, 10]]
    assert dataset.problems == ["1 object as polygons among boxes, of which the boxes are read: a.txt line 2"]


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
    assert dataset.problems == ["1 object without area, left out: a.txt line 1"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", "4 numbers; a box has 5"),
        ("0 0.5 0.5 0.5 0.5 7", "6 numbers; a box has 5"),
        ("0 0.5 0.5 cat 0.5", "'0 0.5 0.5 cat 0.5' is not made of numbers alone"),
        ("2 0.5 0.5 0.5 0.5", r"class 2 is not in 0\.\.1 \(cat, dog\); add its name"),
        ("0.5 0.5 0.5 0.5 0.5", r"class 0.5 is not in 0\.\.1"),
        ("-1 0.5 0.5 0.5 0.5", r"class -1 is not in 0\.\.1"),
        ("0 20 10 20 10", r"outside 0\.\.1; if these are pixels, divide x by the width"),
        ("0 nan 0.5 0.5 0.5", "not finite"),
        ("0 0.5 0.5 inf 0.5", "not finite"),
        ("nan 0.5 0.5 0.5 0.5", "not finite"),
    ],
)
def test_mistakes_in_a_line_are_named(tmp_path: Path, line: str, message: str) -> None:
    root = folder(tmp_path, a="0 0.5 0.5 0.5 0.5", b=f"\n{line}")
    with pytest.raises(InputError, match=rf"labels/train/b\.txt: line 2: .*{message}"):
        yolo.read(root, "train")[1]


def test_a_box_among_polygons_is_a_rectangle_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a="1 0 0.25 1 0.25 1 0.5\n0 0.5 0.5 0.5 0.5\n1 0 0 1 0 1 1")
    dataset = yolo.read(root, "train")
    mask = dataset[0].target.masks[1]
    assert mask.sum() == mask[5:15, 10:30].sum() == 200
    assert dataset.problems == ["1 object as boxes among polygons, their masks being the whole boxes: a.txt line 2"]


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
        ({"names": {1: "cat", 2: "dog"}}, "names: the keys are 1, 2, not 0..1"),
        ({"names": {"cat": 0, "dog": 1}}, "names: key: 'cat' is no number"),
        ({"names": None}, "names: the list of the classes is empty"),
        ({"names": []}, "names: the list of the classes is empty"),
        ({"names": ["cat", ""]}, "names: entry 1 is '', no name"),
        ({"names": [["cat"]]}, r"names: entry 0 is \['cat'\], no name"),
        ({"names": ["cat", "cat"]}, "names: cat appears twice"),
        ({"kpt_shape": 17}, r"kpt_shape: 17 is not"),
        ({"kpt_shape": [2, 3], "kpt_names": ["nose"]}, "kpt_names: 1 names for the 2 of kpt_shape"),
        ({"kpt_shape": [2, 4]}, "kpt_shape: .* is not"),
        ({"kpt_shape": [2, 3], "flip_idx": [0, 2]}, r"flip_idx: \[0, 2\] is not each of 0..1 once"),
        ({"kpt_shape": [3, 3], "flip_idx": [1, 2, 0]}, "flip_idx: .* in pairs"),
        ({"kpt_shape": [2, 3], "flip_idx": ["a", "b"]}, "flip_idx: 'a' is no number"),
        ({"kpt_shape": [2, 3], "skeleton": [["a", "b"]]}, "skeleton: 'a' is no number"),
        ({"kpt_shape": [2, 3], "skeleton": [[0, 1, 2]]}, "skeleton: .* is no list of pairs"),
        ({"nc": "many"}, "nc: 'many' is no number"),
        ({"names": ["cat ", "cat"]}, "names: cat appears twice"),
        ({"train": {"images": 1}}, "train: .* are no folders or lists"),
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


def test_names_are_read_as_they_are_written(tmp_path: Path) -> None:
    root = folder(tmp_path, a=None)
    (root / "data.yaml").write_text("train: images/train\nnames: [no, on, 1, 007, null, 'a, b']\n")
    assert yolo.read(root, "train").categories.class_names == ("no", "on", "1", "007", "null", "a, b")
    (root / "data.yaml").write_text("train: images/train\nnames:\n  '0': cat\n  '1': dog\n")
    assert yolo.read(root, "train").categories.class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("more", "names", "problem"),
    [
        ({"names": "cat"}, ("cat",), "names: the text is read as 1 name: cat"),
        ({"names": "cat, dog"}, ("cat", "dog"), "names: the text is read as 2 names: cat, dog"),
        ({"names": None, "nc": 2}, ("class_0", "class_1"), "names: there are none; the classes are called class_0 to"),
        ({"nc": 3}, ("cat", "dog"), "nc is 3, but there are 2 names, which count"),
        ({"names": ["cat ", None]}, ("cat", "null"), "names: entry 1 is null, which is taken for a name"),
    ],
)
def test_odd_names_are_read_and_said(
    tmp_path: Path, more: dict[str, object], names: tuple[str, ...], problem: str
) -> None:
    root = folder(tmp_path, a="")
    describe(root, train="images/train", **more)
    dataset = yolo.read(root, "train")
    assert dataset.categories.class_names == names
    assert [line.startswith(f"{root / 'data.yaml'}: {problem}") for line in dataset.problems] == [True]


def test_names_in_a_file(tmp_path: Path) -> None:
    root = folder(tmp_path, a="")
    (root / "obj.names").write_text("cat\ndog\n")
    describe(root, train="images/train", names="obj.names")
    assert yolo.read(root, "train").categories.class_names == ("cat", "dog")


def test_what_either_side_lacks_is_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a=BOX, b=BOX, c=None)
    (root / "images/train/heavy.heic").write_bytes(b"")
    labels = root / "labels" / "train"
    for name, text in {"lost": BOX, "empty": "", "classes": "cat\ndog\n"}.items():
        (labels / f"{name}.txt").write_text(text)
    (labels / "a.xml").write_text("<annotation/>")
    (labels / "train.cache").write_text("")
    (root / "images/train/b.png").write_bytes((root / "images/train/b.jpg").read_bytes())
    dataset = yolo.read(root, "train")
    assert len(dataset) == 4
    assert len(dataset.problems) == 5
    assert dataset.problems == [
        f"{root / 'images/train'}: 1 picture without label file, taken as empty: c.jpg",
        "1 picture of the same name as another, with the same label file",
        *pairing.unread(root / "images" / "train"),
        f"{labels}: 2 label files without picture, left out: empty.txt, lost.txt",
        f"{labels}: 1 file beside label files and no .txt, not read: a.xml",
    ]


def test_labels_that_are_elsewhere_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path, a=BOX, b=BOX)
    (root / "labels" / "train").rename(root / "labels" / "training")
    dataset = yolo.read(root, "train")
    assert len(dataset[0].target) == 0
    (line,) = dataset.problems
    assert line.endswith(
        f"2 pictures without label file, taken as empty: a.jpg, b.jpg; {root / 'labels/train/a.txt'} was looked for, "
        f"and there is {root / 'labels/training/a.txt'}"
    )


def test_folders_in_other_capitals_are_found(tmp_path: Path) -> None:
    root = folder(tmp_path, a=BOX)
    (root / "labels").rename(root / "Labels")
    (root / "images").rename(root / "Images")
    for entry in ("Images/train", "images/train", "images/Train"):
        describe(root, train=entry)
        dataset = yolo.read(root, "train")
        assert len(dataset[0].target) == 1
        assert dataset.problems == []


def test_labels_beside_their_pictures_are_found(tmp_path: Path) -> None:
    root = folder(tmp_path / "images" / "set", a=BOX)
    (root / "labels/train/a.txt").rename(root / "images/train/a.txt")
    (root / "labels/train").rmdir()
    dataset = yolo.read(root, "train")
    assert len(dataset[0].target) == 1
    assert dataset.problems == []


def test_doubled_lines_are_read_once_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a=f"{BOX}\n1 0.5 0.5 0.25 0.5\n0 0.50 0.5 0.5 0.5\n", b=f"{BOX}\n{BOX}\n{BOX}")
    dataset = yolo.read(root, "train")
    assert [sample.target.labels.tolist() for sample in dataset] == [[0, 1], [0]]
    assert dataset.problems == ["3 objects doubled in their file, read once: a.txt line 3, b.txt line 2, b.txt line 3"]


def test_scores_and_boxes_beyond_the_picture_are_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a=f"{BOX} 0.93\n0 0.2 0.2 0.8 0.8\n0.0 0.5 0.5 1 1\n")
    dataset = yolo.read(root, "train")
    assert dataset.contents == {"boxes"}
    torch.testing.assert_close(
        dataset[0].target.boxes, torch.tensor([[10.0, 5, 30, 15], [0, 0, 24, 12], [0, 0, 40, 20]])
    )
    assert dataset.problems == [
        "1 object with a sixth number, taken for a score and not read: a.txt line 1",
        "1 object reaching beyond their picture, cut (a box is its centre and its size, not two corners): a.txt line 2",
    ]


def test_a_broken_label_file_does_not_hide_the_other_problems(tmp_path: Path) -> None:
    root = folder(tmp_path, a="0 cat", b=f"{BOX}\n{BOX}")
    dataset = yolo.read(root, "train")
    assert dataset.problems == ["1 object doubled in their file, read once: b.txt line 2"]
    with pytest.raises(InputError, match=r"a\.txt: line 1: '0 cat' is not made of numbers alone"):
        dataset[0]


def test_label_files_are_read_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path, **{f"p{index:03}": BOX for index in range(100)})
    read: list[Path] = []
    text = label_files.read_text
    monkeypatch.setattr(label_files, "read_text", lambda path: read.append(path) or text(path))
    dataset = yolo.read(root, "train")
    assert len(dataset) == 100
    assert len(read) < 40
    dataset[99]
    assert read[-1].name == "p099.txt"


def test_encodings_of_windows(tmp_path: Path) -> None:
    root = folder(tmp_path, a="", b="")
    (root / "labels/train/a.txt").write_text(f"{BOX}\r\n", encoding="utf-16")
    (root / "labels/train/b.txt").write_text(f"{BOX}\r\n", encoding="utf-8-sig")
    (root / "data.yaml").write_text("train: images/train\r\nnames: [血小板, Rød]\r\n", encoding="utf-16")
    dataset = yolo.read(root, "train")
    assert dataset.categories.class_names == ("血小板", "Rød")
    assert [len(sample.target) for sample in dataset] == [1, 1]
    (root / "data.yaml").write_text("train: images/train\nnames: [血小板]\n", encoding="gbk")
    with pytest.raises(InputError, match=r"data\.yaml: byte \d+ is no UTF-8"):
        yolo.read(root, "train")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"path": "/content/set", "train": "images/train"}, "path: '/content/set' is not there"),
        ({"path": r"C:\data\set", "train": r"images\train"}, r"path: 'C:\\data\\set' is not there"),
        ({"train": "/content/set/images/train"}, "'/content/set/images/train' is not there; "),
        ({"train": r"D:\set\images\train"}, r"'D:\\set\\images\\train' is not there; "),
    ],
)
def test_paths_of_other_machines_are_found_by_their_end_and_said(
    tmp_path: Path, entry: dict[str, object], said: str
) -> None:
    root = folder(tmp_path, a=BOX)
    describe(root, **entry)
    dataset = yolo.read(root, "train")
    assert [len(sample.target) for sample in dataset] == [1]
    (line,) = dataset.problems
    assert said in line


def test_the_end_of_a_path_is_not_what_other_splits_share(tmp_path: Path) -> None:
    root = folder(tmp_path, a=BOX)
    describe(root, train="/content/set/train/images")
    with pytest.raises(InputError, match="'/content/set/train/images' is not there"):
        yolo.read(root, "train")


def test_lists_of_another_machine_and_with_lost_pictures(tmp_path: Path) -> None:
    root = folder(tmp_path, a=BOX, b=BOX)
    describe(root, train="train.txt")
    lines = ["# ours", "/content/set/images/train/a.jpg", r"C:\set\images\train\b.jpg", "./images/train/c.jpg"]
    (root / "train.txt").write_text("\n".join([*lines, "images/train/a.jpg"]))
    dataset = yolo.read(root, "train")
    assert [file.name for file in dataset.files] == ["a.jpg", "b.jpg"]
    moved, lost, twice = dataset.problems
    assert "'/content/set/images/train' is not there; " in moved
    assert lost.endswith("1 picture of 4 not there, left out: ./images/train/c.jpg")
    assert twice.endswith("1 picture named twice, read once")
    (root / "train.txt").write_text("images/c.jpg\n")
    with pytest.raises(InputError, match=r"train\.txt: none of the 1 pictures is there, as 'images/c\.jpg'"):
        yolo.read(root, "train")


def test_an_export_within_another_has_its_own_pictures(tmp_path: Path) -> None:
    for root, stem in ((tmp_path, "outer"), (tmp_path / "project", "inner")):
        for kind, name in (("images", f"{stem}.jpg"), ("labels", f"{stem}.txt")):
            (root / "train" / kind).mkdir(parents=True)
            (root / "train" / kind / name).write_text("")
        describe(root, train="../train/images")
    inner, outer = yolo.read(tmp_path / "project", "train"), yolo.read(tmp_path, "train")
    assert [file.name for file in inner.files] == ["inner.jpg"]
    assert "'../train/images' is read as " in inner.problems[0]
    assert [file.name for file in outer.files] == ["outer.jpg"]
    assert outer.problems == []
    describe(tmp_path, train=".")
    outer = yolo.read(tmp_path, "train")
    assert [file.name for file in outer.files] == ["outer.jpg"]
    assert "1 picture of sets within it (" in outer.problems[0]


def test_splits_that_were_not_exported_are_left_out_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a=BOX)
    describe(root, train="images/train", val="../valid/images", test="../test/images")
    assert yolo.splits(root) == ["train"]
    assert sorted(yolo.read(root, "train").problems) == [
        f"{root / 'data.yaml'}: test: ../test/images is not there; the split is left out",
        f"{root / 'data.yaml'}: val: ../valid/images is not there; the split is left out",
    ]
    describe(root, train="../train/images", val="images/train")
    with pytest.raises(InputError, match=r"'\.\./train/images' is not there; looked for"):
        yolo.read(root, "train")


def test_flip_idx_says_what_is_mirrored(tmp_path: Path) -> None:
    root = folder(tmp_path, a="")
    describe(root, train="images/train", kpt_shape=[3, 3], flip_idx=[0, 2, 1])
    dataset = yolo.read(root, "train")
    assert dataset.categories.flip_order == (0, 2, 1)
    assert dataset.problems == []
    assert yolo.write(dataset, tmp_path / "again", "train") == []
    assert yaml.safe_load((tmp_path / "again" / "data.yaml").read_text())["flip_idx"] == [0, 2, 1]
    assert yolo.read(tmp_path / "again", "train").categories == dataset.categories


def test_keypoints_of_which_none_are_mirrored_are_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a="")
    for more, number in (({}, 1), ({"flip_idx": [0, 1]}, 0), ({"kpt_names": ["left_eye", "right_eye"]}, 0)):
        describe(root, train="images/train", kpt_shape=[2, 3], **more)
        assert sum("no flip_idx" in line for line in yolo.read(root, "train").problems) == number


def test_a_class_called_background_is_no_error(tmp_path: Path) -> None:
    root = folder(tmp_path, a="1 0 0 1 0 1 1")
    describe(root, train="images/train", names=["background", "dog"])
    dataset = yolo.read(root, "train")
    assert dataset.contents == {"boxes", "masks"}
    assert "no label maps are painted" in dataset.problems[0]


def test_pictures_that_exif_turns_are_said_as_their_labels_may_be_of_the_stored_ones(tmp_path: Path) -> None:
    root = folder(tmp_path, a="0 0.5 0.5 0.2 0.2", b="")
    describe(root, train="images/train")
    (picture,) = (root / "images" / "train").glob("a.*")
    image = Image.open(picture)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(picture, exif=exif)
    (said,) = yolo.read(root, "train").problems
    assert said.startswith(f"of 2 pictures looked at, EXIF turns 1 ({picture.name})")


def test_label_files_in_capitals_or_after_the_whole_name_are_read_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a=BOX, b=BOX, c=BOX, d=BOX)
    labels = root / "labels/train"
    for old, new in {"a.txt": "a.TXT", "b.txt": "b.jpg.txt", "c.txt": "c.jpg.TXT"}.items():
        (labels / old).rename(labels / new)
    dataset = yolo.read(root, "train")
    assert [len(sample.target) for sample in dataset] == [1, 1, 1, 1]
    assert dataset.problems == [
        f"{labels}: 3 label files not called .txt after the picture's stem, and read: a.TXT, b.jpg.txt, c.jpg.TXT"
    ]


@pytest.mark.parametrize("layout", ["images/{}", "{}/images", "{}"])
def test_pictures_that_no_split_names_are_said(tmp_path: Path, layout: str) -> None:
    for name in ("train", "val", "test"):
        (tmp_path / layout.format(name)).mkdir(parents=True)
        Image.new("RGB", (40, 20)).save(tmp_path / layout.format(name) / "a.jpg")
    entries = {split: layout.format(split) for split in ("train", "val")}
    describe(tmp_path, **entries)
    left = tmp_path / layout.format("test")
    said = f"{tmp_path / 'data.yaml'}: left out 1 picture in folders that no split names: {left}"
    assert said in yolo.read(tmp_path, "train").problems
    describe(tmp_path, **entries, test=layout.format("test"))
    assert said not in yolo.read(tmp_path, "train").problems
