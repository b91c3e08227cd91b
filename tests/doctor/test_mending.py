import json
from pathlib import Path

import pytest
import torch
from tests.doctor.faults import (
    FAULTS,
    annotations,
    image,
    label_map,
    of_xml,
    row,
    with_value,
)
from tests.doctor.sets import BOXES, CLEAN, coco, mask_folder, voc, yolo_poses

from delineate.data.formats import read_dataset
from delineate.doctor import examine, mend


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if "ids-mixed" in fault.found])
def test_what_is_counted_from_another_number_stays_whole(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    root = CLEAN[fault.layout](tmp_path / "data")
    fault.plant(root)
    changes, by_hand = mend(examine(root), tmp_path / "mended")
    assert not changes
    assert {one.finding for one in by_hand} == {"ids-mixed"}
    assert {finding.id: finding.count for finding in examine(tmp_path / "mended")} == fault.found


def test_a_picture_that_loses_its_mark_is_mended_as_any_other(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: turned after"].plant(root)
    row(0, bbox=["4", "6", "20", "24"])(root)
    row(1, bbox=[1, 2, None, 4])(root)
    outside = {"id": 98, "bbox": [200, 6, 20, 24], "segmentation": []}
    for more in ({"id": 99}, outside):
        annotations(lambda document, more=more: document["annotations"].append(document["annotations"][0] | more))(root)
    changes, by_hand = mend(examine(root), tmp_path / "mended")
    kinds = {"size-differs", "number-as-text", "not-a-number", "duplicated", "outside"}
    assert {change.finding for change in changes} == kinds
    assert not by_hand
    assert not examine(tmp_path / "mended").found


def test_the_label_map_of_a_picture_that_loses_its_mark_is_looked_at(tmp_path: Path) -> None:
    root = mask_folder(tmp_path / "data")
    FAULTS["mask_folder: turned after"].plant(root)
    label_map("labels/train/a.png", with_value(9))(root)
    changes, by_hand = mend(examine(root), tmp_path / "mended")
    assert [change.finding for change in changes] == ["size-differs"]
    assert [one.finding for one in by_hand] == ["unnamed-value"]
    assert examine(tmp_path / "mended").found.keys() == {"unnamed-value"}


def test_a_picture_that_is_left_out_gives_nobody_work(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    for name in ("coco: in both", "coco: other capitals", "coco: keypoint off its box"):
        FAULTS[name].plant(root)  # all of the first picture
    row(1, bbox=[58, 10, -28, 30])(root)
    findings = examine(root)
    assert findings.found.keys() == {"leak", "other-capitals", "keypoints-off-box", "swapped"}
    changes, by_hand = mend(findings, tmp_path / "mended")
    assert [change.finding for change in changes] == ["leak"]
    assert not by_hand
    assert not examine(tmp_path / "mended").found


def test_what_is_mended_in_one_file_is_listed_where_it_is_left_in_another(tmp_path: Path) -> None:
    """Where a file with keypoints names objects by their ids, these stay."""
    root = coco(tmp_path / "data")
    source = root / "annotations/instances_train.json"
    document = json.loads(source.read_text())
    document["annotations"] = document["annotations"][2:]
    (root / "annotations/person_keypoints_train.json").write_text(json.dumps(document))
    for split in ("train", "val"):
        annotations(lambda document: document["annotations"][0].update(id=2), split)(root)
    changes, by_hand = mend(examine(root), tmp_path / "mended")
    assert [(change.finding, Path(change.file).name) for change in changes] == [("same-ids", "instances_val.json")]
    assert [(one.finding, str(source) in one.detail) for one in by_hand] == [("same-ids", True)]
    assert examine(tmp_path / "mended").found["same-ids"].count == 1


def test_a_name_is_put_right_and_nothing_else_where_the_picture_is_of_another_size(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: Cat and cat"].plant(root)
    image(width=640, height=480)(root)
    row(bbox=[4, 6, 0, 24], segmentation=[])(root)
    mend(examine(root), tmp_path / "mended")
    entry = json.loads((tmp_path / "mended/annotations/instances_train.json").read_text())["annotations"][0]
    assert (entry["id"], entry["category_id"], entry["bbox"]) == (1, 1, [4, 6, 0, 24])


def test_a_box_of_which_too_little_is_in_the_picture_is_listed_as_left_out(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    of_xml((BOXES[0], (63, 10, 90, 11)))(root)
    changes, by_hand = mend(examine(root), tmp_path / "mended")
    assert [(change.finding, change.after) for change in changes] == [
        ("reaches-out", "dog 63 10 64 11"),
        ("degenerate", "left out"),
    ]
    assert not by_hand
    assert not examine(tmp_path / "mended").found


def test_a_pose_in_pixels_is_divided_whatever_its_visibility(tmp_path: Path) -> None:
    root = yolo_poses(tmp_path / "data")
    before = read_dataset(root, "train")[0].target
    FAULTS["yolo: pose in pixels, visibility 3"].plant(root)
    mend(examine(root), tmp_path / "mended")
    target = read_dataset(tmp_path / "mended", "train")[0].target
    assert torch.allclose(target.boxes, before.boxes, atol=1e-3)
    assert torch.allclose(target.keypoints, before.keypoints, atol=1e-3)
    assert torch.equal(target.visibility, before.visibility)
