"""Where COCO files and their pictures lie."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.data.formats.coco.folder import SIZE, folder, object_
from tests.data.samples import assert_targets_equal

from delineate.data.counting import take_census
from delineate.data.formats import coco, convert, layouts, read_dataset
from delineate.data.formats.layouts import FORMATS, splits
from delineate.data.splits import check_readable, looked_over
from delineate.values import InputError


def files(root: Path, **contents: list[str] | dict[str, str]) -> Path:
    """Write pictures where they are named, and COCO files of one object a picture, by their paths."""
    for path, names in contents.items():
        of = names if isinstance(names, dict) else {name: name for name in names}
        for place in of.values():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", SIZE[::-1]).save(root / place)
        write(root / path, list(of))
    return root


def write(path: Path, names: list[str], **changes: Any) -> None:
    document = {
        "images": [{"id": n, "file_name": name, "height": 20, "width": 30} for n, name in enumerate(names)],
        "annotations": [object_(id=n, image_id=n) for n in range(len(names))],
        "categories": [{"id": 3, "name": "dog"}],
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


ROBOFLOW = "_annotations.coco.json"

LAYOUTS: dict[str, tuple[dict[str, Any], dict[str, list[str]]]] = {
    "as COCO has it": (
        {"annotations/instances_train2017.json": {"a.jpg": "train2017/a.jpg"}},
        {"train2017": ["train2017/a.jpg"]},
    ),
    "Roboflow's folders": (
        {f"{split}/{ROBOFLOW}": {"a.jpg": f"{split}/a.jpg"} for split in ("train", "valid", "test")},
        {"train": ["train/a.jpg"], "val": ["valid/a.jpg"], "test": ["test/a.jpg"]},
    ),
    "folders with pictures within": (
        {f"{split}/labels.json": {"a.jpg": f"{split}/data/a.jpg"} for split in ("train", "Validation")},
        {"train": ["train/data/a.jpg"], "val": ["Validation/data/a.jpg"]},
    ),
    "a file beside each folder": (
        {"train.json": {"a.jpg": "train/a.jpg"}, "val.json": {"b.jpg": "val/b.jpg"}},
        {"train": ["train/a.jpg"], "val": ["val/b.jpg"]},
    ),
    "files beside the pictures": (
        {"train.json": ["a.jpg"], "val.json": ["b.jpg", "c.jpg"]},
        {"train": ["a.jpg"], "val": ["b.jpg", "c.jpg"]},
    ),
    "files beside one folder": (
        {"train_annotations.json": {"a.jpg": "images/a.jpg"}, "valid.json": {"b.jpg": "images/b.jpg"}},
        {"train": ["images/a.jpg"], "val": ["images/b.jpg"]},
    ),
    "names with folders": ({"annotations/train.json": ["images/train/a.jpg"]}, {"train": ["images/train/a.jpg"]}),
    "names with other folders": (
        {"annotations/train.json": {"/home/me/pictures/a.jpg": "images/a.jpg"}},
        {"train": ["images/a.jpg"]},
    ),
    "names of Windows": (
        {"annotations/train.json": {"shots\\a.jpg": "images/shots/a.jpg"}},
        {"train": ["images/shots/a.jpg"]},
    ),
    "a folder of any name": (
        {"annotations/train.json": {"a.jpg": "photographs/a.jpg"}},
        {"train": ["photographs/a.jpg"]},
    ),
    "one file beside pictures": ({"result.json": ["a.jpg", "b.jpg"]}, {"all": ["a.jpg", "b.jpg"]}),
    "one file of a split": ({"train.json": ["a.jpg"]}, {"train": ["a.jpg"]}),
    "CVAT's": ({"annotations/instances_default.json": {"a.jpg": "images/a.jpg"}}, {"default": ["images/a.jpg"]}),
    "FiftyOne's": ({"labels.json": {"a.jpg": "data/a.jpg"}}, {"all": ["data/a.jpg"]}),
    "pictures in two folders": (
        {"annotations/train.json": {"a.jpg": "train/a.jpg", "b.jpg": "images/b.jpg"}},
        {"train": ["train/a.jpg", "images/b.jpg"]},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_recognised_and_read(tmp_path: Path, name: str) -> None:
    contents, expected = LAYOUTS[name]
    root = files(tmp_path / "data", **contents)
    assert [found for found, format_ in FORMATS.items() if format_.recognises(root)] == ["coco"]
    assert splits(root) == sorted(expected)
    for split, places in expected.items():
        dataset = read_dataset(root, split)
        assert [str(file.relative_to(root)) for file in dataset.files] == places
        assert [len(sample.target) for sample in dataset] == [1] * len(places)
        assert not any("left out" in problem for problem in dataset.problems)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_survives_the_round_trip(tmp_path: Path, name: str) -> None:
    contents, expected = LAYOUTS[name]
    root = files(tmp_path / "data", **contents)
    convert(root, tmp_path / "copy", "coco")
    for split in expected:
        first, second = (read_dataset(place, split) for place in (root, tmp_path / "copy"))
        assert first.categories == second.categories
        for one, other in zip(first, second, strict=True):
            assert_targets_equal(one.target, other.target)


def test_json_files_of_other_tools_are_none_of_cocos(tmp_path: Path) -> None:
    root = files(tmp_path, **{"annotations/train.json": {"a.jpg": "images/a.jpg"}})
    others = {"labelme": {"version": "5.0", "shapes": [], "imagePath": "a.jpg"}, "classes": {"dog": 1}, "list": [1, 2]}
    for name, document in others.items():
        (root / "annotations" / f"{name}.json").write_text(json.dumps(document))
    assert coco.splits(root) == ["train"]
    (root / "annotations" / "train.json").unlink()
    assert not coco.recognises(root)


def test_two_files_of_one_split_are_two_splits(tmp_path: Path) -> None:
    root = files(tmp_path, **{"train/a.json": {"a.jpg": "train/a.jpg"}, "train/b.json": {"b.jpg": "train/b.jpg"}})
    assert coco.splits(root) == ["b", "train"]
    assert [file.name for file in coco.read(root, "b").files] == ["b.jpg"]


def test_missing_pictures_are_refused_with_their_count_or_passed_over(tmp_path: Path) -> None:
    root = files(tmp_path, **{"annotations/train.json": {f"{n}.jpg": f"train/{n}.jpg" for n in range(5)}})
    for number in (1, 3):
        (root / "train" / f"{number}.jpg").unlink()
    dataset = coco.read(root, "train")
    with pytest.raises(
        InputError,
        match=r"2 pictures cannot be read: .*train/1\.jpg: it is not there, .*/3\.jpg: it is not there; put it there, "
        r"or remove its entry from .*train\.json \(--skip-unreadable passes over",
    ):
        looked_over(dataset, [], skip_unreadable=False)
    notes: list[str] = []
    assert len(looked_over(dataset, notes, skip_unreadable=True)) == 3
    assert notes[0].startswith("left out 2 pictures that cannot be read: ")
    with pytest.raises(InputError, match=r"1\.jpg: it is not there"):
        dataset[1]
    assert take_census(dataset, skip_unreadable=True).num_pictures == 3


def test_pictures_that_no_file_names_are_said(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        **{
            "annotations/train.json": {"a.jpg": "images/a.jpg"},
            "annotations/val.json": {"b\u00e4r.jpg": "images/b\u00e4r.jpg"},
        },
    )
    assert coco.read(root, "train").problems == []
    for name in ("c.jpg", "d.PNG", "notes.txt"):
        (root / "images" / name).write_bytes(b"")
    source = root / "annotations" / "train.json"
    assert coco.read(root, "train").problems == [
        f"{source}: left out 2 pictures beside those that it names (c.jpg, d.PNG)"
    ]


def test_names_without_their_folders_must_tell_pictures_apart(tmp_path: Path) -> None:
    root = files(tmp_path, **{"annotations/train.json": {"x/a.jpg": "images/a.jpg", "y/a.jpg": "images/a.jpg"}})
    with pytest.raises(InputError, match=r"its pictures \(x/a\.jpg, \.\.\.\) are in none of"):
        coco.read(root, "train")


def test_a_picture_that_exif_turns_is_named_with_the_way_out(tmp_path: Path) -> None:
    root = folder(tmp_path, object_())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIZE[::-1]).save(root / "val" / "5.png", exif=exif)
    with pytest.raises(InputError, match=r"instances_val\.json: image 5\.png .*EXIF turns it: remove the mark"):
        coco.read(root, "val")[0]


def test_the_head_of_a_large_file_tells_what_it_is(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(3000)]
    write(tmp_path / "data.json", names)
    assert (tmp_path / "data.json").stat().st_size > 200_000
    assert coco.recognises(tmp_path / "data.json")
    assert layouts.FORMATS["coco"] is coco


def test_a_split_that_lost_its_annotation_file_is_said(tmp_path: Path) -> None:
    root = files(tmp_path, **{"annotations/train.json": {"a.jpg": "images/train/a.jpg"}})
    (root / "images" / "val").mkdir()
    Image.new("RGB", SIZE[::-1]).save(root / "images" / "val" / "b.jpg")
    (said,) = read_dataset(root, "train").problems
    assert said == f"{root / 'images' / 'val'}: left out 1 picture without an annotation file"


@pytest.mark.parametrize("names", [["a.JPG", "b.jpg"], ["a.JPG", "B.JPG"], ["x/a.JPG", "x/b.Jpg"]])
def test_names_in_other_capitals_are_read_and_said(tmp_path: Path, names: list[str]) -> None:
    root = files(tmp_path, **{"train.json": dict(zip(names, ("train/a.jpg", "train/b.jpg"), strict=True))})
    write(root / "val.json", ["C.jpg"])
    Image.new("RGB", SIZE[::-1]).save(root / "train/c.jpg")
    dataset = coco.read(root, "train")
    assert dataset.files == [root / "train/a.jpg", root / "train/b.jpg"]
    (said,) = [line for line in dataset.problems if "without the folders" not in line]
    assert "whose names differ in capitals (" in said


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png"], r"train/a\.png: it is not there; there is a\.jpg: correct the name in .*train\.json"),
        (["b.jpg", "A.png"], r"train/A\.png: it is not there; there is a\.jpg: correct"),
        (["C.jpeg"], r"C\.jpeg: it is not there; there is c\.JPEG, c\.jpeg: correct"),
        (["b.jpg", "b.JPG"], r"b\.JPG: it is not there; there is b\.jpg"),
    ],
)
def test_a_missing_picture_is_refused_with_those_of_its_stem(tmp_path: Path, names: list[str], message: str) -> None:
    files(tmp_path, **{"train.json": [f"train/{name}" for name in ("a.jpg", "b.jpg", "c.jpeg", "c.JPEG")]})
    write(tmp_path / "train.json", names)
    with pytest.raises(InputError, match=message):
        check_readable(coco.read(tmp_path, "train"))
