import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.data.formats.coco.folder import SIZE, folder, object_

from delineate.data.formats import coco
from delineate.values import InputError

BODY = {"keypoints": ["nose", "left_ear"], "skeleton": [[1, 2]]}
DOG = [{"id": 3, "name": "dog", **BODY}]
NAN, INFINITY = float("nan"), float("inf")
SQUARE = [[2, 3, 12, 3, 12, 11, 2, 11]]


def images(**fields: Any) -> list[dict[str, Any]]:
    return [{"id": 5, "file_name": "5.png", "height": 20, "width": 30, **fields}]


@pytest.mark.parametrize(
    "fields",
    [
        {"bbox": ["2.0", "3", " 10 ", "8e0"]},
        {"bbox": [2.0, 3.0, 10, 8.0]},
        {"bbox": [12, 11, -10, -8]},
        {"bbox": None, "segmentation": SQUARE},
        {"bbox": [], "segmentation": {"size": [20, 30], "counts": [43, 8, *[12, 8] * 9, 369]}},
        {"image_id": "5", "category_id": "3"},
        {"image_id": 5.0, "category_id": "3.0"},
        {"iscrowd": "0", "ignore": "false", "area": "80"},
        {"iscrowd": None, "ignore": None, "area": None},
        {"iscrowd": 0.0, "area": ""},
        {"segmentation": [["2", "3", "12", "3", "12", "11", "2", "11"]]},
        {"segmentation": [[1, 1, 2, 2], *SQUARE]},
        {"segmentation": {"size": ["20", "30"], "counts": ["43", "8", *["12", "8"] * 9, 369.0]}},
        {"segmentation": None},
        {"id": "a"},
    ],
)
def test_a_value_of_another_type_is_read_where_it_is_clear(tmp_path: Path, fields: dict[str, Any]) -> None:
    dataset = coco.read(folder(tmp_path, object_(**fields), images=images()), "val")
    target = dataset[0].target
    assert target.boxes.tolist() == [[2, 3, 12, 11]]
    assert target.labels.tolist() == [0]
    assert not target.ignored.any()
    if target.masks is not None:
        box = torch.zeros(SIZE, dtype=torch.bool)
        box[3:11, 2:12] = True
        assert torch.equal(target.masks[0], box)


def test_ids_may_be_texts_and_numbers_beside_one_another(tmp_path: Path) -> None:
    categories = [{"id": "9", "name": "cat"}, {"id": 3, "name": "dog"}, {"id": "x", "name": "owl"}]
    rows = [object_(category_id=9), object_(id=2, category_id="x"), object_(id=3, category_id="3")]
    dataset = coco.read(folder(tmp_path, *rows, categories=categories, images=images(id="5")), "val")
    assert dataset.categories.class_names == ("dog", "cat", "owl")
    assert sorted(dataset[0].target.labels.tolist()) == [0, 1, 2]


@pytest.mark.parametrize("unknown", [0, None, "", "0", "0.0"])
def test_a_size_that_is_not_known_is_the_pictures_own(tmp_path: Path, unknown: Any) -> None:
    root = folder(tmp_path, object_(bbox=[0, 0, 99, 99]), images=images(height=unknown))
    dataset = coco.read(root, "val")
    assert dataset.size(0) == SIZE
    assert dataset[0].target.boxes.tolist() == [[0, 0, 30, 20]]


def test_a_size_that_nobody_knows_is_asked_for_where_the_picture_is_read(tmp_path: Path) -> None:
    root = folder(tmp_path, object_(), images=images(height=0))
    (root / "val" / "5.png").write_bytes(b"broken")
    dataset = coco.read(root, "val")
    with pytest.raises(InputError, match=r"5\.png: this is text, not a picture"):
        dataset.size(0)


WRONG = [
    ({"bbox": [1, 2, NAN, 4]}, "annotation 1: bbox: nan is not finite"),
    ({"bbox": [1, 2, -INFINITY, 4]}, "annotation 1: bbox: -inf is not finite"),
    ({"bbox": [1, 2, None, 4]}, "annotation 1: bbox: None is no number"),
    ({"bbox": [1, 2, 10**400, 4]}, "annotation 1: bbox: 1000.* is no number"),
    ({"bbox": [[1], [2], [3], [4]]}, r"annotation 1: bbox: \[1\] is no number"),
    ({"bbox": {"x": 1}}, "annotation 1: bbox: .* is not a list of 4 numbers"),
    ({"bbox": None}, "annotation 1: bbox: None is not a list of 4 numbers"),
    ({"area": NAN}, "annotation 1: area: nan is not finite"),
    ({"iscrowd": NAN}, "annotation 1: iscrowd: nan is not finite"),
    ({"iscrowd": "perhaps"}, "annotation 1: iscrowd: 'perhaps' is no number"),
    ({"iscrowd": [0]}, r"annotation 1: iscrowd: \[0\] is no number"),
    ({"id": True}, "annotation True: id: True is no id"),
    ({"id": []}, r"annotation \[\]: id: \[\] is no id"),
    ({"image_id": None}, "annotation 1: image_id: None is no id"),
    ({"category_id": [3]}, r"annotation 1: category_id: \[3\] is no id"),
    ({"category_id": True}, "annotation 1: category_id: True is no id"),
    ({"segmentation": [[1, 1, NAN, 1, 9, 9]]}, "annotation 1: segmentation: nan is not finite"),
    ({"segmentation": [[1, 1, None, 1, 9, 9]]}, "annotation 1: segmentation: None is no number"),
    ({"segmentation": [[1, 1, 1e12, 1, 9, 9]]}, r"annotation 1: segmentation: a corner is 1e\+12 pixels away"),
    ({"segmentation": [[[1, 1], [9, 1], [9, 9]]]}, r"annotation 1: segmentation: \[1, 1\] is no number"),
    ({"segmentation": {"size": [20, 30], "counts": [NAN]}}, "annotation 1: segmentation: counts: nan is not finite"),
    ({"segmentation": {"size": [20, 30], "counts": [700, -100]}}, "annotation 1: segmentation: .* by its counts"),
    ({"segmentation": {"size": [20, None], "counts": "a"}}, "annotation 1: segmentation: size: None is no number"),
    ({"keypoints": [NAN, 2, 2, 0, 0, 0]}, r"annotation 1: keypoints .*: nan is not finite"),
    (
        {"keypoints": [1, 2, 2, None, None, 0]},
        r"annotation 1: keypoints \(0, 0, 0 if not annotated\): None is no number",
    ),
    ({"keypoints": [1, 2, 3, 0, 0, 0]}, "annotation 1: keypoints: the visibility of nose is 3; it is 0"),
    ({"keypoints": [1, 2, 2, 0, 0, 0.5]}, r"annotation 1: keypoints: the visibility of left_ear is 0\.5"),
    ({"keypoints": {"nose": [1, 2, 2]}}, "annotation 1: keypoints .* is not a list of 6 numbers"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_a_value_that_says_nothing_is_refused_with_its_place(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=rf"instances_val\.json: {message}"):
        coco.read(folder(tmp_path, object_(**fields), categories=DOG), "val")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": images(file_name=None)}, "image 5: file_name: None is no name of a picture"),
        ({"images": images(file_name=["5.png"])}, "image 5: file_name: .* is no name of a picture"),
        ({"images": images(height=-20)}, "image 5: height -20 and width 30 are no size"),
        ({"images": images(width=NAN)}, "image 5: width: nan is not finite"),
        ({"images": images(width="wide")}, "image 5: width: 'wide' is no number"),
        ({"images": [[5, "5.png"]]}, "images: entry 0 has no 'id'"),
        ({"images": [*images(), *images(file_name="2.png")]}, "images: several have the id 5"),
        ({"categories": [{"id": None, "name": "dog"}]}, "categories: entry 0 has no 'id'"),
        ({"categories": [{"id": 3, "name": ["dog"]}]}, "category 3: name: .* is no name"),
        (
            {"categories": [{"id": 3, "name": "dog", "keypoints": "nose"}]},
            "category 3: keypoints: 'nose' is not a list",
        ),
        (
            {"categories": [{"id": 3, **BODY, "skeleton": [[1, 3]]}]},
            "category 3: skeleton: 3 is no keypoint; there are 2",
        ),
        ({"categories": [{"id": 3, **BODY, "skeleton": [["nose", "tail"]]}]}, "category 3: skeleton: 'tail' is no key"),
        ({"categories": [{"id": 3, **BODY, "skeleton": [1, 2]}]}, "category 3: skeleton: .* is not a list of pairs"),
        ({"categories": [{"id": 3, **BODY, "flip_order": [0, 0]}]}, "categories: flip_order: .* is not each of"),
    ],
)
def test_an_entry_that_says_nothing_is_refused_with_its_place(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=rf"instances_val\.json: {message}"):
        coco.read(folder(tmp_path, object_(), **changes), "val")


def test_a_json_file_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "annotations" / "instances_val.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="this is no JSON"):
        coco.read(root, "val")


def test_entries_of_one_picture_are_merged_and_said(tmp_path: Path) -> None:
    entries = [{**images()[0], "id": number} for number in (11, 12, 13)]
    rows = [object_(id=number, image_id=number, bbox=[number, 0, 5, 5]) for number in (11, 12, 13)]
    dataset = coco.read(folder(tmp_path, *rows, images=entries), "val")
    assert [file.name for file in dataset.files] == ["5.png"]
    assert dataset[0].target.boxes[:, 0].tolist() == [11, 12, 13]
    assert "2 entries in 'images' name a picture that has one already" in dataset.problems[0]


def test_what_is_said_twice_is_kept_once(tmp_path: Path) -> None:
    other = [[2, 3, 12, 3, 12, 11]]
    rows = [
        object_(segmentation=SQUARE),
        object_(id=2, segmentation=SQUARE),
        object_(id=3, segmentation=other),
        object_(id=4, segmentation=SQUARE, category_id=9),
        object_(id=5, segmentation=SQUARE, image_id=2),
        object_(id=6, segmentation=SQUARE),
        object_(id=6, segmentation=SQUARE, iscrowd=1),
    ]
    dataset = coco.read(folder(tmp_path, *rows), "val")
    assert [len(sample.target) for sample in dataset] == [4, 1]
    of_one_id, doubled = dataset.problems
    assert "1 annotation with the id of another one" in of_one_id
    assert "left out 2 annotations (2, 6) that say the same as another one" in doubled


def test_equal_entries_count_once(tmp_path: Path) -> None:
    dogs = [{"id": 3, "name": "dog"}] * 2
    dataset = coco.read(folder(tmp_path, object_(), categories=dogs, images=images() * 2), "val")
    assert len(dataset) == 1
    assert dataset.categories.class_names == ("dog",)


def test_a_category_that_only_groups_the_others_is_left_out_and_said(tmp_path: Path) -> None:
    categories = [
        {"id": 0, "name": "pets", "supercategory": "none"},
        {"id": 3, "name": "dog", "supercategory": "pets"},
        {"id": 9, "name": "cat", "supercategory": "pets"},
    ]
    dataset = coco.read(folder(tmp_path, object_(), categories=categories), "val")
    assert dataset.categories.class_names == ("dog", "cat")
    assert dataset[0].target.labels.tolist() == [0]
    assert "left out the category 'pets'" in dataset.problems[0]
    used = coco.read(folder(tmp_path, object_(category_id=0), categories=categories), "val")
    assert used.categories.class_names == ("pets", "dog", "cat")
    unnamed = coco.read(folder(tmp_path, object_(), categories=[{"id": 3}, {"id": 9}]), "val")
    assert unnamed.categories.class_names == ("3", "9")


def test_a_background_without_objects_is_no_class(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "_background_"}, {"id": 3, "name": "dog"}]
    dataset = coco.read(folder(tmp_path, object_(segmentation=SQUARE), categories=categories), "val")
    assert dataset.categories.class_names == ("dog",)
    assert dataset.categories.label_map_names == ("dog", "background")
    assert "left out the category '_background_', which has no object and is what label maps" in dataset.problems[0]
    alone = coco.read(folder(tmp_path, categories=[{"id": 0, "name": "background"}]), "val")
    assert alone.categories.class_names == ("background",)


def test_a_background_with_objects_is_that_of_label_maps(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": "background"}, {"id": 9, "name": "cat"}]
    rows = object_(segmentation=SQUARE, category_id=9), object_(id=2, bbox=[25, 15, 2, 2])
    dataset = coco.read(folder(tmp_path / "a", *rows, categories=categories), "val")
    assert dataset.categories.class_names == dataset.categories.label_map_names == ("background", "cat")
    expected = torch.zeros(SIZE, dtype=torch.int64)
    expected[3:11, 2:12] = 1
    assert torch.equal(dataset[0].target.label_map, expected)
    assert "what no object covers is of the category 'background'" in dataset.problems[-1]
    assert coco.write(dataset, tmp_path / "b", "val") == []
    assert torch.equal(coco.read(tmp_path / "b", "val")[0].target.label_map, expected)


@pytest.mark.parametrize(
    "skeleton", [[[1, 2], [2, 3]], [[0, 1], [1, 2]], [["nose", "l"], ["l", "r"]], [["1", 2], [2, 3]]]
)
def test_a_skeleton_counts_from_one_or_from_zero_or_names_keypoints(tmp_path: Path, skeleton: list[Any]) -> None:
    categories = [{"id": 3, "name": "dog", "keypoints": ["nose", "l", "r"], "skeleton": skeleton}]
    dataset = coco.read(folder(tmp_path, object_(), categories=categories), "val")
    assert dataset.categories.skeleton == ((0, 1), (1, 2))
    assert len(dataset.problems) == (skeleton[0][0] == 0)


def test_keypoints_without_names_are_numbered_and_said(tmp_path: Path) -> None:
    dataset = coco.read(folder(tmp_path, object_(keypoints=[1, 2, 2, 3, 4, 1]), object_(id=2)), "val")
    assert dataset.categories.keypoint_names == ("keypoint_1", "keypoint_2")
    assert dataset[0].target.keypoints[0].tolist() == [[1, 2], [3, 4]]
    names, sides = dataset.problems
    assert "they are called keypoint_1 to keypoint_2" in names
    assert "no keypoint's name says left or right" in sides


def test_the_flip_order_is_kept_where_names_do_not_say_it(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": "dog", "keypoints": ["a", "b", "c"], "flip_order": [0, 2, 1]}]
    dataset = coco.read(folder(tmp_path / "a", object_(keypoints=[1, 2, 2] * 3), categories=categories), "val")
    assert dataset.categories.flip_order == (0, 2, 1)
    assert dataset.problems == []
    coco.write(dataset, tmp_path / "b", "val")
    assert coco.read(tmp_path / "b", "val").categories == dataset.categories


def test_positions_of_keypoints_that_are_not_annotated_are_written_as_zeros(tmp_path: Path) -> None:
    root = folder(tmp_path / "a", object_(keypoints=[0, 0, 0, 3, 4, 2]), categories=DOG)
    dataset = coco.read(root, "val")
    dataset.objects.keypoints[:, 0, :2] = NAN  # type: ignore[attr-defined]
    coco.write(dataset, tmp_path / "b", "val")
    written = json.loads((tmp_path / "b" / "annotations" / "instances_val.json").read_text())
    assert written["annotations"][0]["keypoints"] == [0, 0, 0, 3, 4, 2]


def test_categories_without_a_name_are_called_by_their_ids_and_said(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": None}, {"id": 4, "name": " dog "}]
    dataset = coco.read(folder(tmp_path, object_(), categories=categories, images=images()), "val")
    assert dataset.categories.class_names == ("3", "dog")
    assert any("categories without a name are called by their ids (3)" in line for line in dataset.problems)


@pytest.mark.parametrize(("x", "visibility", "said"), [(29, 2, False), (300, 2, True), (-9, 1, True), (-9, 0, False)])
def test_keypoints_out_of_the_picture_are_said(tmp_path: Path, x: float, visibility: int, said: bool) -> None:
    categories = [{"id": 3, "name": "cat", "keypoints": ["tail"]}]
    rows = [object_(keypoints=[x, 5, visibility], num_keypoints=1)]
    dataset = coco.read(folder(tmp_path, *rows, categories=categories, images=images()), "val")
    assert any("with keypoints out of the picture" in line for line in dataset.problems) == said
