import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.data.samples import assert_targets_equal

from delineate.data import convert, read_dataset
from delineate.data.formats import splits
from delineate.values import InputError

RECT = {"name": "rect", "x": 10, "y": 5, "width": 20, "height": 15}
POLYGON = {"name": "polygon", "all_points_x": [4, 14, 14, 4], "all_points_y": [4, 4, 24, 24]}


def region(shape: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def entries(*regions: dict[str, Any], name: str = "a.png") -> dict[str, Any]:
    return {f"{name}123": {"filename": name, "size": 123, "regions": list(regions), "file_attributes": {}}}


def save(path: Path, document: Any, *pictures: str) -> Path:
    """Write a JSON file and pictures beside it; gives the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    for name in pictures or ("a.png",):
        Image.new("RGB", (60, 40), "gray").save(path.parent / name)
    return path.parent


def test_regions_of_every_kind(tmp_path: Path) -> None:
    regions = [
        region(RECT, kind="cell"),
        region(POLYGON, kind="disk"),
        region({"name": "circle", "cx": 40, "cy": 20, "r": 10}, kind="disk"),
        region({"name": "ellipse", "cx": 40, "cy": 20, "rx": 5, "ry": 10, "theta": 0}, kind="disk"),
        region({"name": "point", "cx": 1, "cy": 1}, kind="disk"),
        region(RECT, kind=""),
    ]
    dataset = read_dataset(save(tmp_path / "via_region_data.json", entries(*regions)), "all")
    target = dataset[0].target
    assert dataset.categories.class_names == ("cell", "disk")
    assert target.boxes.tolist() == [[10, 5, 30, 20], [4, 4, 14, 24], [30, 10, 50, 30], [35, 10, 45, 30]]
    assert target.labels.tolist() == [0, 1, 1, 1]
    assert target.masks.flatten(1).sum(1).tolist()[:2] == [300, 200]
    assert [line.split(": ", 1)[1] for line in dataset.problems][:2] == [
        "left out points and lines, which have no area (1): a.png: region 5",
        "left out regions without a value of 'kind' (1): a.png: region 6",
    ]


@pytest.mark.parametrize("version", ["project", "export", "numbered", "list"])
def test_projects_and_exports_of_all_versions(tmp_path: Path, version: str) -> None:
    document: Any = entries(region(RECT, kind="cell"), region(RECT, kind="disk"))
    if version == "numbered":  # version 1
        for entry in document.values():
            entry["regions"] = {str(place): found for place, found in enumerate(entry["regions"])}
    if version == "project":
        document = {"_via_settings": {}, "_via_img_metadata": document, "_via_attributes": {}}
    if version == "list":
        document = list(document.values())
    dataset = read_dataset(save(tmp_path / "any name.json", document), "all")
    assert dataset[0].target.labels.tolist() == [0, 1]
    assert dataset.problems == []


def test_ticked_boxes_name_the_class(tmp_path: Path) -> None:
    root = save(tmp_path / "via.json", entries(region(RECT, kind={"cell": True, "disk": False})))
    assert read_dataset(root, "all").categories.class_names == ("cell",)


def test_of_several_attributes_the_class_is_asked_for(tmp_path: Path) -> None:
    root = save(tmp_path / "via.json", entries(region(RECT, kind="cell", quality="good", note="")))
    with pytest.raises(InputError, match="attributes kind, quality; which is the class\\? Name that one 'class'"):
        read_dataset(root, "all")
    save(tmp_path / "via.json", entries(region(RECT, **{"class": "cell"}, quality="good")))
    assert read_dataset(root, "all").categories.class_names == ("cell",)


def test_regions_without_attributes_are_objects(tmp_path: Path) -> None:
    dataset = read_dataset(save(tmp_path / "via.json", entries(region(RECT))), "all")
    assert dataset.categories.class_names == ("object",)
    assert "all are of the class 'object'" in dataset.problems[0]


def test_files_in_folders_of_splits_or_named_after_them(tmp_path: Path) -> None:
    for split in ("train", "val"):
        save(tmp_path / "folders" / split / "via_region_data.json", entries(region(RECT, kind=split)))
        save(tmp_path / "names" / f"via_{split}.json", entries(region(RECT, kind=split)))
    for root in (tmp_path / "folders", tmp_path / "names"):
        assert splits(root) == ["train", "val"]
        assert read_dataset(root, "val").categories.class_names == ("train", "val")
        assert read_dataset(root, "val")[0].target.labels.tolist() == [1]


def test_two_files_for_one_split(tmp_path: Path) -> None:
    root = save(tmp_path / "a.json", entries(region(RECT)))
    save(tmp_path / "b.json", entries(region(RECT)))
    with pytest.raises(InputError, match=r"b.json: .*a.json has annotations of the split 'all', too; keep one"):
        splits(root)


def test_both_sides_are_compared(tmp_path: Path) -> None:
    document = entries(region(RECT)) | entries(region(RECT), name="gone.png") | entries(name="empty.png")
    dataset = read_dataset(save(tmp_path / "via.json", document, "a.png", "empty.png", "alone.png"), "all")
    assert [len(sample.target) for sample in dataset] == [1, 0]
    assert "pictures that are not there (1): gone.png" in dataset.problems[0]
    assert "1 picture without annotation: alone.png" in dataset.problems[1]


def test_entries_of_one_picture_are_merged(tmp_path: Path) -> None:
    root = save(tmp_path / "via.json", entries(region(RECT)) | {"again": entries(region(POLYGON))["a.png123"]})
    dataset = read_dataset(root, "all")
    assert [len(sample.target) for sample in dataset] == [2]
    assert "pictures that are annotated more than once are merged (1): a.png" in dataset.problems[0]


def test_a_broken_picture_is_an_error_when_it_is_read(tmp_path: Path) -> None:
    root = save(tmp_path / "via.json", entries(region(RECT)) | entries(region(RECT), name="b.png"), "a.png", "b.png")
    (root / "a.png").write_bytes(b"no picture")
    dataset = read_dataset(root, "all")
    assert len(dataset[1].target) == 1
    with pytest.raises(InputError, match=r"a\.png: this is text, not a picture"):
        dataset[0]


def test_there_and_back_through_coco(tmp_path: Path) -> None:
    save(tmp_path / "in" / "via.json", entries(region(RECT, kind="cell"), region(POLYGON, kind="disk")))
    convert(tmp_path / "in", tmp_path / "out", "coco")
    here, there = read_dataset(tmp_path / "in", "all"), read_dataset(tmp_path / "out", "all")
    assert here.categories == there.categories
    assert_targets_equal(here[0].target, there[0].target)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "rect", "x": "left"}, "via.json: a.png: region 1: x: 'left' is no number"),
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1]}, "3 all_points_x and 1 all_points_y"),
        ({"name": "star"}, "region 1: shape 'star' is not known"),
    ],
)
def test_wrong_regions_are_named(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    root = save(tmp_path / "via.json", entries(region(wrong)))
    with pytest.raises(InputError, match=message):
        read_dataset(root, "all")


def test_regions_that_are_none(tmp_path: Path) -> None:
    root = save(tmp_path / "via.json", {"a": {"filename": "a.png", "regions": [3]}})
    with pytest.raises(InputError, match=r"via.*: a.png: regions: these are no regions of VIA"):
        read_dataset(root, "all")
