import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.data.samples import assert_targets_equal

from delineate.data import convert, read_dataset
from delineate.data.formats import splits
from delineate.data.formats.drawn import labelme
from delineate.values import InputError

SIZE = (40, 60)


def shape(label: str, kind: str, *points: tuple[float, float], **fields: Any) -> dict[str, Any]:
    return {"label": label, "points": [list(point) for point in points], "shape_type": kind, **fields}


BOX = shape("cell", "rectangle", (30, 20), (10, 5))
POLYGON = shape("cell", "polygon", (4, 4), (14, 4), (14, 24), (4, 24))


def picture(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], "gray").save(path)


def annotate(path: Path, *shapes: dict[str, Any], with_picture: bool = True, **changes: Any) -> Path:
    """Write one JSON file as LabelMe does, and its picture beside it; gives the folder."""
    document = {
        "version": "5.0.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": f"{path.stem}.png",
        "imageData": None,
        "imageHeight": SIZE[0],
        "imageWidth": SIZE[1],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document | changes))
    if with_picture:
        picture(path.with_suffix(".png"))
    return path.parent


def as_base64(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def test_rectangles_alone_are_boxes_with_corners_in_any_order(tmp_path: Path) -> None:
    dataset = read_dataset(annotate(tmp_path / "a.json", BOX), "all")
    assert dataset.contents == {"boxes"}
    assert dataset.categories.class_names == ("cell",)
    assert dataset[0].target.boxes.tolist() == [[10, 5, 30, 20]]
    assert dataset.problems == []


def test_polygons_circles_and_masks_are_masks_and_boxes_stand_for_theirs(tmp_path: Path) -> None:
    circle = shape("disk", "circle", (40, 20), (40, 30))
    part = Image.fromarray(torch.eye(3, dtype=torch.uint8).numpy() * 255)
    mask = shape("cell", "mask", (50, 30), (52, 32), mask=as_base64(part))
    target = read_dataset(annotate(tmp_path / "a.json", POLYGON, circle, mask, BOX), "all")[0].target
    assert target.boxes.tolist() == [[4, 4, 14, 24], [30, 10, 50, 30], [50, 30, 53, 33], [10, 5, 30, 20]]
    assert target.labels.tolist() == [0, 1, 0, 0]
    assert target.masks.flatten(1).sum(1).tolist() == [200, pytest.approx(314, abs=8), 3, 300]
    assert target.masks[2, 31, 51]
    assert set(target.label_map.unique().tolist()) == {0, 1, 2}


def test_groups_join_the_parts_of_one_object(tmp_path: Path) -> None:
    other = shape("cell", "polygon", (30, 4), (40, 4), (40, 14), group_id=0)
    another = shape("disk", "polygon", (30, 20), (40, 20), (40, 30), group_id=0)
    target = read_dataset(annotate(tmp_path / "a.json", POLYGON | {"group_id": 0}, other, another), "all")[0].target
    assert target.boxes.tolist() == [[4, 4, 40, 24], [30, 20, 40, 30]]
    assert target.masks[0, 10, 6]
    assert target.masks[0, 6, 38]


def test_points_and_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = [shape("cell", "point", (3, 3)), shape("cell", "linestrip", (1, 1), (2, 2)), shape("", "rectangle")]
    dataset = read_dataset(annotate(tmp_path / "a.json", *lines, BOX, shape("__ignore__", "rectangle")), "all")
    assert len(dataset[0].target) == 1
    assert dataset.problems == [
        f"{tmp_path}: left out points and lines, which have no area (2): a.json: shape 1, a.json: shape 2",
        f"{tmp_path}: left out shapes without a label (1): a.json: shape 3",
        f"{tmp_path}: left out shapes labelled __ignore__ (1): a.json: shape 5",
    ]


def test_pictures_are_found_in_folders_of_another_machine_and_by_the_name_of_their_json(tmp_path: Path) -> None:
    annotate(tmp_path / "json" / "a.json", BOX, imagePath="..\\photos\\a.jpg", with_picture=False)
    annotate(tmp_path / "json" / "b.json", BOX, imagePath="/home/me/IMG 7.JPG", with_picture=False)
    annotate(tmp_path / "json" / "c.json", BOX, with_picture=False)
    for name in ("a.jpg", "b.png", "alone.png"):
        picture(tmp_path / "photos" / name)
    dataset = read_dataset(tmp_path, "all")
    assert [file.name for file in dataset.files] == ["a.jpg", "b.png"]
    assert dataset.problems == [
        f"{tmp_path}: left out the annotations of pictures that are not there (1): c.png",
        f"{tmp_path}: left out 1 picture without annotation: alone.png",
    ]


def test_sizes_that_are_not_given_are_the_pictures_own(tmp_path: Path) -> None:
    root = annotate(tmp_path / "a.json", BOX, imageHeight=None, imageWidth=0)
    assert read_dataset(root, "all")[0].target.boxes.tolist() == [[10, 5, 30, 20]]


def test_pictures_that_are_no_files_are_read_from_their_json(tmp_path: Path) -> None:
    data = as_base64(Image.new("RGB", SIZE[::-1], "red"))
    annotate(tmp_path / "in" / "a.json", POLYGON, imageData=data, imageHeight=None, with_picture=False)
    dataset = read_dataset(tmp_path / "in", "all")
    assert dataset[0].image[:, 0, 0].tolist() == [255, 0, 0]
    assert "pictures that are no files are read from their JSON (1): a.png" in dataset.problems[0]
    convert(tmp_path / "in", tmp_path / "out", "coco")
    assert torch.equal(read_dataset(tmp_path / "out", "all")[0].image, dataset[0].image)


def test_folders_are_splits_and_all_splits_have_the_same_classes(tmp_path: Path) -> None:
    annotate(tmp_path / "labels" / "train" / "a.json", BOX, with_picture=False)
    annotate(tmp_path / "labels" / "valid" / "b.json", BOX | {"label": "axon"}, with_picture=False)
    for place in ("train/a", "valid/b"):
        picture(tmp_path / "images" / f"{place}.png")
    assert splits(tmp_path) == ["train", "valid"]
    dataset = read_dataset(tmp_path, "val")
    assert dataset.categories.class_names == ("axon", "cell")
    assert dataset.problems == [f"{tmp_path}: there is no split 'val'; 'valid' is read for it"]
    assert dataset[0].target.labels.tolist() == [0]


def test_the_list_of_labels_orders_the_classes(tmp_path: Path) -> None:
    root = annotate(tmp_path / "a.json", BOX, BOX | {"label": "axon"})
    (root / "labels.txt").write_text("__ignore__\n_background_\ncell\naxon\n")
    assert read_dataset(root, "all").categories.class_names == ("cell", "axon")
    (root / "labels.txt").write_text("cell\n")
    with pytest.raises(InputError, match=r"a.json: shape 2 is a 'axon', which is not in the list of classes"):
        read_dataset(root, "all")


def test_there_and_back_through_coco(tmp_path: Path) -> None:
    annotate(tmp_path / "in" / "a.json", POLYGON, shape("disk", "circle", (40, 20), (40, 27)), BOX)
    annotate(tmp_path / "in" / "b.json")
    convert(tmp_path / "in", tmp_path / "out", "coco")
    here, there = read_dataset(tmp_path / "in", "all"), read_dataset(tmp_path / "out", "all")
    assert here.categories == there.categories
    for one, other in zip(here, there, strict=True):
        assert_targets_equal(one.target, other.target)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (POLYGON | {"points": [[1, 2], [3, float("nan")], [5, 6]]}, "a.json: shape 1: points: nan is not finite"),
        (POLYGON | {"points": [[1, 2], [3]]}, r"a.json: shape 1: points: \[3\] is not a list of 2 numbers"),
        (POLYGON | {"points": None}, "a.json: shape 1: points: None is no list of points"),
        (POLYGON | {"points": [[1, 2], [3, 4]]}, "a polygon has 3 at least, not 2"),
        (POLYGON | {"shape_type": "star"}, "'star' is not known; draw a polygon"),
        (shape("cell", "mask", (1, 1), (2, 2), mask="no"), "shape 1: mask: this is no picture in base64"),
    ],
)
def test_wrong_shapes_are_named(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    root = annotate(tmp_path / "a.json", wrong)
    with pytest.raises(InputError, match=message):
        read_dataset(root, "all")


@pytest.mark.parametrize("size", [0, 40])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, size: int) -> None:
    annotate(tmp_path / "1.json", BOX)
    annotate(tmp_path / "2.json", BOX)
    text = (tmp_path / "2.json").read_text()
    (tmp_path / "2.json").write_text(text[:size])
    with pytest.raises(InputError, match=r"2\.json: this is no JSON"):
        read_dataset(tmp_path, "all")


def test_no_picture_at_all(tmp_path: Path) -> None:
    annotate(tmp_path / "a.json", BOX, with_picture=False)
    with pytest.raises(InputError, match=r"its pictures \(a.png\) are nowhere in this folder"):
        read_dataset(tmp_path, "all")


def test_the_format_is_known_by_its_words(tmp_path: Path) -> None:
    annotate(tmp_path / "a.json", BOX)
    (tmp_path / "b.json").write_text('{"images": [], "annotations": []}')
    assert labelme.recognises(tmp_path)
    assert not labelme.recognises(tmp_path / "b.json")


def test_each_picture_has_its_own_annotation_file_and_errors_name_it(tmp_path: Path) -> None:
    annotate(tmp_path / "1.json", BOX)
    annotate(tmp_path / "2.json", BOX, imageHeight=400, imageWidth=600)
    dataset = read_dataset(tmp_path, "all")
    assert dataset.annotation_file(0) == tmp_path / "1.json"
    with pytest.raises(InputError, match=r"2\.json: image 2\.png is 600 x 400 pixels"):
        dataset[1]
