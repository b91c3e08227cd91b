import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.coco
import pytest
import torch
from PIL import Image
from tests.data.formats.coco.folder import SIZE, folder, object_
from tests.data.samples import InMemory, assert_targets_equal, everything

from delineate.data import Dataset
from delineate.data.formats import coco
from delineate.values import IGNORE, Categories, InputError, Sample, Target

DATA = Path(__file__).parents[5] / "shared" / "data"

quiet_peer = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_labels_follow_the_category_ids_and_pictures_the_file(tmp_path: Path) -> None:
    root = folder(tmp_path, object_(id=8, image_id=2, category_id=9), object_(id=7), object_(id=3, bbox=[0, 0, 4.5, 5]))
    dataset = coco.read(root, "val")
    assert dataset.categories == Categories(class_names=("dog", "cat"))
    assert dataset.contents == {"boxes"}
    first, second = dataset
    assert first.image[:, 0, 0].tolist() == [5, 0, 0]
    assert first.target.boxes.tolist() == [[2, 3, 12, 11], [0, 0, 4.5, 5]]
    assert first.target.labels.tolist() == [0, 0]
    assert second.target.boxes.tolist() == [[2, 3, 12, 11]]
    assert second.target.labels.tolist() == [1]


def test_boxes_are_clipped_and_those_without_area_said(tmp_path: Path) -> None:
    boxes = [[-4, -2, 100, 8], [28, 5, 9, 9], [30, 0, 5, 5], [3, 3, 0, 4], [29.5, 5, 1, 1], [7, 9, -4, -6]]
    dataset = coco.read(folder(tmp_path, *(object_(id=row, bbox=box) for row, box in enumerate(boxes))), "val")
    expected = [[0, 0, 30, 6], [28, 5, 30, 14], [29.5, 5, 30, 6], [3, 3, 7, 9]]
    assert dataset[0].target.boxes.tolist() == expected
    turned, outside, without_area = dataset.problems
    assert "1 annotation (5) of negative width or height, whose corners were put right" in turned
    assert "2 annotations (0, 1) reaching out of the picture" in outside  # half a pixel is rounding
    assert "left out 2 annotations (2, 3) whose boxes have no area" in without_area


def test_flags(tmp_path: Path) -> None:
    target = coco.read(folder(tmp_path, object_(iscrowd=1), object_(id=2, ignore=1)), "val")[0].target
    assert target.crowd is not None
    assert target.difficult is not None
    assert target.crowd.tolist() == [True, False]
    assert target.difficult.tolist() == [False, True]


def test_masks_of_every_kind(tmp_path: Path) -> None:
    parts = [[2, 3, 8, 3, 8, 7, 2, 7], [10, 3, 12, 3, 12, 11, 10, 11]]
    ring = np.zeros(SIZE, dtype=np.uint8)
    ring[4:14, 4:14] = 1
    ring[8:10, 8:10] = 0
    flat = ring.flatten(order="F")
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], flat, [2]])))).tolist()
    compressed = pycocotools.mask.encode(np.asfortranarray(ring))
    root = folder(
        tmp_path,
        object_(segmentation=parts),
        object_(id=2, segmentation={"size": list(SIZE), "counts": runs}),
        object_(id=3, segmentation={"size": list(SIZE), "counts": compressed["counts"].decode()}),
        object_(id=4, segmentation=[], bbox=[1, 2, 3, 4]),
    )
    dataset = coco.read(root, "val")
    masks = dataset[0].target.masks
    assert masks is not None
    two = torch.zeros(SIZE, dtype=torch.bool)
    two[3:7, 2:8] = two[3:11, 10:12] = True
    box = torch.zeros(SIZE, dtype=torch.bool)
    box[2:6, 1:4] = True
    assert torch.equal(masks, torch.stack([two, *[torch.from_numpy(ring) > 0] * 2, box]))
    assert dataset.problems == [
        f"{root}/annotations/instances_val.json: 1 annotation (4) without mask; the box stands for it"
    ]
    assert dataset[1].target.masks is not None
    assert dataset[1].target.masks.shape == (0, *SIZE)


def test_label_map_is_painted(tmp_path: Path) -> None:
    def rectangle(x1: int, y1: int, x2: int, y2: int) -> list[list[int]]:
        return [[x1, y1, x2, y1, x2, y2, x1, y2]]

    root = folder(
        tmp_path,
        object_(segmentation=rectangle(5, 5, 9, 9), category_id=9),
        object_(id=2, segmentation=rectangle(0, 0, 20, 10)),
        object_(id=3, segmentation=rectangle(15, 5, 30, 18), iscrowd=1),
    )
    dataset = coco.read(root, "val")
    assert dataset.categories.label_map_names == ("dog", "cat", "background")
    expected = torch.full(SIZE, 2)
    expected[0:10, 0:20] = 0
    expected[5:18, 15:30] = IGNORE
    expected[5:9, 5:9] = 1
    # the crowd's 195 pixels are fewer than the dog's 200
    assert torch.equal(dataset[0].target.label_map, expected)
    assert torch.equal(dataset[1].target.label_map, torch.full(SIZE, 2))


def test_more_classes_than_a_label_map_holds(tmp_path: Path) -> None:
    categories = [{"id": number, "name": str(number)} for number in range(300)]
    square = object_(segmentation=[[0, 0, 5, 0, 5, 5, 0, 5]], category_id=299)
    dataset = coco.read(folder(tmp_path, square, categories=categories), "val")
    assert dataset.contents == {"boxes", "masks"}
    assert dataset[0].target.labels.tolist() == [299]
    assert dataset[0].target.label_map is None


BODY = {"keypoints": ["nose", "left_ear"], "skeleton": [[1, 2]]}


def test_keypoints_of_a_second_file_are_merged_by_id(tmp_path: Path) -> None:
    folder(tmp_path, object_(id=1), object_(id=2, category_id=9), object_(id=4))
    root = folder(
        tmp_path,
        object_(id=4, keypoints=[1, 2, 2, 3.5, 4, 1]),
        object_(id=77, keypoints=[1, 2, 2, 3, 4, 1]),
        kind="person_keypoints_",
        categories=[{"id": 3, "name": "dog", **BODY}],
    )
    assert coco.splits(root) == ["val"]
    dataset = coco.read(root, "val")
    assert dataset.categories == Categories(
        class_names=("dog", "cat"), keypoint_names=("nose", "left_ear"), skeleton=((0, 1),)
    )
    target = dataset[0].target
    assert target.keypoints is not None
    assert target.visibility is not None
    assert target.labels.tolist() == [0, 1, 0]
    assert target.keypoints.tolist() == [[[0, 0], [0, 0]], [[0, 0], [0, 0]], [[1, 2], [3.5, 4]]]
    assert target.visibility.tolist() == [[0, 0], [0, 0], [2, 1]]
    assert "left out 1 annotation (77): no object has their id" in dataset.problems[0]
    assert dataset[1].target.keypoints is not None
    assert dataset[1].target.keypoints.shape == (0, 2, 2)


@pytest.mark.parametrize("home", ["val", "images/val", "images", "."])
@pytest.mark.parametrize("inner", ["", "deep/er"])
def test_pictures_are_found_in_the_usual_places(tmp_path: Path, home: str, inner: str) -> None:
    images = [{"id": 5, "file_name": f"{inner}/a.png" if inner else "a.png", "height": 20, "width": 30}]
    folder(tmp_path, object_(), images=images)
    picture = tmp_path / home / inner / "a.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(picture)
    assert coco.read(tmp_path, "val")[0].file == str(picture)


def test_one_json_file_is_a_data_set(tmp_path: Path) -> None:
    root = folder(tmp_path, object_(), kind="")
    single = root / "annotations" / "val.json"
    assert coco.recognises(single)
    assert coco.splits(single) == ["val"]
    assert len(coco.read(single, "val")[0].target) == 1
    beside = single.rename(root / "val" / "any name.json")
    assert coco.splits(beside) == ["any name"]
    assert len(coco.read(beside, "any name")[0].target) == 1


def test_captions_and_panoptic_files_are_no_splits(tmp_path: Path) -> None:
    root = folder(tmp_path, object_())
    for name in ("captions_val.json", "panoptic_val.json", "image_info_test.json"):
        (root / "annotations" / name).write_text("{}")
    assert coco.splits(root) == ["val"]


def test_pictures_without_a_size_in_the_file(tmp_path: Path) -> None:
    images = [{"id": 5, "file_name": "5.png"}]
    assert coco.read(folder(tmp_path, object_(bbox=[0, 0, 99, 99]), images=images), "val")[0].target.boxes.tolist() == [
        [0, 0, 30, 20]
    ]


def _other_size(root: Path) -> None:
    Image.new("RGB", (20, 30)).save(root / "val" / "5.png")


def _nothing(root: Path) -> None:
    pass


def _no_pictures(root: Path) -> None:
    for path in (root / "val").iterdir():
        path.unlink()


MISTAKES = [
    ({"category_id": 4}, {}, _nothing, "annotation 1: category_id: 4 is no id"),
    ({"image_id": 1}, {}, _nothing, "annotation 1: image_id: 1 is no id"),
    ({"bbox": [1, 2, 3]}, {}, _nothing, r"annotation 1: bbox: \[1, 2, 3\] is not"),
    ({"bbox": [True, 2, 3, 4]}, {}, _nothing, r"val\.json: annotation 1: bbox: True is no number"),
    (
        {"keypoints": [1, 2, 2]},
        {"categories": [{"id": 3, "name": "dog", **BODY}]},
        _nothing,
        "annotation 1: keypoints: 3 numbers",
    ),
    ({"segmentation": {"size": [20, 30], "counts": [3, 4]}}, {}, _nothing, "annotation 1: segmentation: it is neither"),
    ({"segmentation": {"size": [30, 20], "counts": [600]}}, {}, _nothing, "mask of height 20 and width 30"),
    ({"segmentation": {"counts": [600]}}, {}, _nothing, "annotation 1: segmentation: it is neither"),
    ({"segmentation": [[1, 1, 9, 1, 9, 9, 5]]}, {}, _nothing, "annotation 1: segmentation: it is neither"),
    ({"segmentation": [["a"] * 6]}, {}, _nothing, "annotation 1: segmentation: 'a' is no number"),
    ({}, {"categories": [{"id": 3, "name": "a"}, {"id": 4, "name": "a"}]}, _nothing, "categories: .*a appears twice"),
    ({}, {"categories": {}}, _nothing, "there is no list 'categories'"),
    ({}, {"images": [{"file_name": "5.png"}]}, _nothing, "images: entry 0 has no 'id'"),
    ({}, {}, _other_size, r"image 5\.png is 30 x 20 .*, and .*5\.png is 20 x 30"),
    ({}, {}, _no_pictures, r"its pictures \(5\.png, \.\.\.\) are in none of .*images/val"),
]


@pytest.mark.parametrize(("fields", "changes", "damage", "message"), MISTAKES)
def test_mistakes(
    tmp_path: Path, fields: dict[str, Any], changes: dict[str, Any], damage: Callable[[Path], None], message: str
) -> None:
    root = folder(tmp_path, object_(**fields), **changes)
    damage(root)
    with pytest.raises(InputError, match=message) as error:
        coco.read(root, "val")[0]
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00\xff"])
def test_files_that_are_no_coco(tmp_path: Path, text: str) -> None:
    root = folder(tmp_path)
    (root / "annotations" / "instances_val.json").write_text(text)
    with pytest.raises(InputError, match=r"instances_val\.json: (this is no JSON|there is no list)"):
        coco.read(root, "val")


def test_round_trip(tmp_path: Path) -> None:
    dataset = everything()
    assert coco.write(dataset, tmp_path, "train") == []
    again = coco.read(tmp_path, "train")
    assert again.categories == dataset.categories
    assert again.contents == dataset.contents
    assert again.problems == []
    assert len(again) == len(dataset)
    for sample, original in zip(again, dataset, strict=True):
        assert torch.equal(sample.image, original.image)
        assert_targets_equal(sample.target, original.target)


@quiet_peer
def test_what_is_written_is_what_pycocotools_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco.write(everything(), tmp_path, "train")
    theirs = pycocotools.coco.COCO(tmp_path / "annotations" / "instances_train.json")
    capsys.readouterr()
    for image, sample in zip(theirs.loadImgs(theirs.getImgIds()), everything(), strict=True):
        rows = theirs.loadAnns(theirs.getAnnIds(image["id"]))
        assert [row["category_id"] - 1 for row in rows] == sample.target.labels.tolist()
        assert sample.target.masks is not None
        for row, mask in zip(rows, sample.target.masks, strict=True):
            assert np.array_equal(theirs.annToMask(row), mask.numpy())
            assert row["area"] == mask.sum()


def test_pictures_are_copied_byte_for_byte(tmp_path: Path) -> None:
    root = folder(tmp_path / "a", object_())
    copy = tmp_path / "b"
    coco.write(coco.read(root, "val"), copy, "val")
    names = {path.name for path in (copy / "images" / "val").iterdir()}
    assert names == {"5.png", "2.png"}
    for name in names:
        assert (copy / "images" / "val" / name).read_bytes() == (root / "val" / name).read_bytes()


def test_pictures_of_one_name_in_several_folders_stay_apart(tmp_path: Path) -> None:
    images = [{"id": number, "file_name": f"{number}/same.png", "height": 20, "width": 30} for number in (5, 2)]
    root = folder(tmp_path / "a", object_(image_id=2), images=images)
    for number in (5, 2):
        (root / "val" / str(number)).mkdir()
        (root / "val" / f"{number}.png").rename(root / "val" / str(number) / "same.png")
    coco.write(coco.read(root, "val"), tmp_path / "b", "val")
    again = coco.read(tmp_path / "b", "val")
    assert [int(sample.image[0, 0, 0]) for sample in again] == [5, 2]
    assert [len(sample.target) for sample in again] == [0, 1]


def test_label_maps_alone_become_regions(tmp_path: Path) -> None:
    label_map = torch.tensor([[0, 0, 1, 1], [0, 1, 1, IGNORE]])
    sample = Sample(
        image=torch.zeros(3, 2, 4, dtype=torch.uint8),
        target=Target(image_size=(2, 4), label_map=label_map),
        file="a.png",
    )
    names = ("sky", "road", "car")
    dataset = InMemory(
        [sample], Categories(class_names=names, label_map_names=names), contents=frozenset({"label_map"})
    )
    lost = coco.write(dataset, tmp_path, "all")
    assert "2 regions, one a class and picture" in lost[0]
    assert "label maps of 1 pictures" in lost[1]
    target = coco.read(tmp_path, "all")[0].target
    assert target.labels.tolist() == [0, 1]
    assert target.boxes.tolist() == [[0, 0, 2, 2], [1, 0, 4, 2]]
    assert torch.equal(target.label_map, label_map.where(label_map != IGNORE, torch.tensor(3)))


def real(name: str, split: str) -> Dataset:
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is absent")
    return coco.read(DATA / name, split)


@quiet_peer
@pytest.mark.parametrize(("name", "split"), [("coco128", "train2017"), ("tinycoco", "val2017"), ("nuclei", "val")])
def test_real_sets_equal_pycocotools(name: str, split: str, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = real(name, split)
    theirs = pycocotools.coco.COCO(DATA / name / "annotations" / f"instances_{split}.json")
    capsys.readouterr()
    ids = sorted(theirs.getCatIds())
    images = theirs.dataset["images"]
    assert len(dataset) == len(images)
    for index in range(0, len(images), max(1, len(images) // 10)):
        rows = theirs.imgToAnns[images[index]["id"]]
        target = dataset[index].target
        assert target.masks is not None
        assert [ids[label] for label in target.labels.tolist()] == [row["category_id"] for row in rows]
        assert target.crowd is not None
        assert target.crowd.tolist() == [bool(row["iscrowd"]) for row in rows]
        for row, box, mask in zip(rows, target.boxes, target.masks, strict=True):
            assert np.array_equal(mask.numpy(), theirs.annToMask(row))
            x, y, width, height = row["bbox"]
            assert torch.allclose(box, torch.tensor([x, y, x + width, y + height]).float(), atol=1e-2)


@pytest.mark.parametrize(
    ("name", "split", "num_pictures", "num_objects", "num_keypoints"),
    [("lsp", "train", 2000, 2000, 14), ("lsp", "val", 400, 400, 14), ("tinycoco", "train2017", 50, 470, 17)],
)
def test_real_sets_with_keypoints(
    name: str, split: str, num_pictures: int, num_objects: int, num_keypoints: int
) -> None:
    dataset = real(name, split)
    source = json.loads((DATA / name / "annotations" / f"person_keypoints_{split}.json").read_text())
    assert len(dataset) == num_pictures
    assert len(dataset.categories.keypoint_names) == num_keypoints
    targets = [dataset.target(index, size) for index, size in enumerate(dataset.sizes)]  # type: ignore[attr-defined]
    assert sum(len(target) for target in targets) == num_objects
    annotated = sum(int(target.visibility.count_nonzero()) for target in targets if target.visibility is not None)
    assert annotated == sum(row["num_keypoints"] for row in source["annotations"])


@pytest.mark.parametrize(
    ("annotation", "changes", "message"),
    [
        (object_(segmentation=[1, 1, 11, 1, 11, 11]), {}, "annotation 1: segmentation: it is neither polygons"),
        (object_(bbox=["x", 1, 2, 3]), {}, "annotation 1: bbox: 'x' is no number"),
        (object_(), {"categories": [{"id": 3, "name": "a"}, {"id": 3, "name": "b"}]}, "several have the id 3"),
    ],
)
def test_what_would_be_misread_is_named(
    tmp_path: Path, annotation: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        coco.read(folder(tmp_path, annotation, **changes), "val")
