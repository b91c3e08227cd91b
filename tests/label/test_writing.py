from pathlib import Path

import numpy as np
import pytest
import torch
from tests.data.samples import assert_targets_equal, everything
from tests.label.folders import DONE, coco_set, mask_folder, opened, patch, put, raw

from delineate.data import read_dataset
from delineate.data.formats import coco, splits
from delineate.label import Labels, Picture
from delineate.label.writing import CORRECTED, _zipped

HOLED = {
    "polygons": [[[5, 5], [45, 5], [45, 45], [5, 45]], [[60, 10], [80, 10], [80, 30]]],
    "holes": [[[10, 10], [20, 10], [20, 20]]],
}


def mark_all(labels: Labels, *edits: dict[str, object]) -> None:
    for picture in labels.collection.pictures:
        labels.edit(picture, 0, "me", [*edits, DONE])


def test_raw_pictures_become_a_data_set_in_their_folder(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path, 7), task="instance")
    edits = put("one", "box", (5, 5, 80, 45), **HOLED), put("two", crowd=True), put("three", ignore=True)
    mark_all(labels, *edits)
    labels.close()
    assert splits(tmp_path) == ["train", "val"]
    train, val = (read_dataset(tmp_path, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (6, 1)
    target = train[0].target
    assert target.labels.tolist() == [1, 0, 0]
    assert target.crowd.tolist() == [False, True, False]
    assert target.difficult.tolist() == [False, False, True]
    assert target.masks is not None
    assert not target.masks[0, 12, 15]  # in the hole
    assert target.masks[0, 40, 40]
    assert target.masks[0, 15, 78]  # in the other part
    assert target.boxes[1].tolist() == [10, 10, 40, 30]


def test_what_is_not_done_is_not_learned(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path))
    done, begun, *_ = labels.collection.pictures
    labels.edit(done, 0, "me", [put(), DONE])
    labels.edit(begun, 0, "me", [put()])
    labels.write()
    assert [file.name for file in read_dataset(tmp_path, "train").files] == [done.file.name]
    assert {one["file_name"] for one in labels.export()["images"]} == {done.name, begun.name}


def test_every_fifth_is_validated_on_and_stays_there(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path, 11))
    mark_all(labels, put())
    pictures = labels.collection.pictures
    assert [one.name for one in labels.written.parts()["val"]] == [pictures[4].name, pictures[9].name]
    labels.edit(pictures[0], 1, "me", [{"kind": "state", "state": "changed"}])
    assert [one.name for one in labels.written.parts()["val"]] == [pictures[4].name, pictures[9].name]


def test_everything_survives(tmp_path: Path) -> None:
    labels = opened(coco_set(tmp_path), classes=())
    edited = next(one for one in labels.collection.pictures if one.file.stem == "empty")
    labels.edit(edited, 0, "me", [put("new", "ring", (3, 4, 20, 30)), DONE])
    before = (tmp_path / "annotations" / "instances_train.json").read_bytes()
    labels.close()
    assert (tmp_path / "annotations" / "instances_train.json").read_bytes() == before
    corrected = tmp_path / CORRECTED
    read = {}
    for split in splits(corrected):
        dataset = read_dataset(corrected, split)
        read |= {file.stem: dataset[row].target for row, file in enumerate(dataset.files)}
    for sample in everything():
        if "empty" not in sample.file:
            fields = ("boxes", "labels", "masks", "keypoints", "visibility", "crowd", "difficult")
            assert_targets_equal(read[Path(sample.file).stem], sample.target, *fields)
    assert read["empty"].boxes.tolist() == [[3, 4, 20, 30]]


def test_parts_stay_as_they_were(tmp_path: Path) -> None:
    coco.write(everything(), tmp_path, "train")
    coco.write(everything(), tmp_path, "valid")
    labels = opened(tmp_path, classes=())
    assert {part: len(pictures) for part, pictures in labels.written.parts().items()} == {"train": 3, "val": 3}
    labels.written.write()
    assert splits(tmp_path / CORRECTED) == ["train", "val"]
    assert len(read_dataset(tmp_path / CORRECTED, "val")) == 3


def test_a_data_set_without_a_part_to_validate_on_gets_one_once(tmp_path: Path) -> None:
    labels = opened(coco_set(tmp_path), classes=())
    parts = labels.written.parts()
    assert {part: len(pictures) for part, pictures in parts.items()} == {"train": 2, "val": 1}
    labels.store.close()
    again = opened(tmp_path, classes=())
    assert [one.name for one in again.written.parts()["val"]] == [one.name for one in parts["val"]]


@pytest.mark.parametrize("known", [True, False])
def test_label_maps_survive(tmp_path: Path, known: bool) -> None:
    if known:
        labels = opened(mask_folder(tmp_path), classes=())
    else:
        labels = opened(raw(tmp_path), classes=("disk", "box"), task="segment")
    picture = labels.collection.pictures[0]
    values = np.zeros((6, 9))
    values[2:] = 1
    values[:, 4] = 255
    labels.edit(picture, 0, "me", [patch(values, 20, 30), DONE])
    expected = labels.store.label_map(picture).copy()
    labels.close()
    corrected = tmp_path / CORRECTED
    found = {}
    for split in splits(corrected):
        dataset = read_dataset(corrected, split)
        names = ("disk", "box", "ground") if known else ("disk", "box", "background")
        assert dataset.categories.label_map_names == names
        found |= {file.name: dataset[row] for row, file in enumerate(dataset.files)}
    assert len(found) == (3 if known else 1)
    sample = found[picture.file.name]
    assert sample.target.label_map is not None
    assert torch.equal(sample.target.label_map, torch.from_numpy(expected.astype(np.int64)))


def test_an_archive_stays_where_it_is_unpacked(tmp_path: Path) -> None:
    names = ["../../a.png", "/etc/b.png", "c/d.png", "c/d.jpg"]
    assert _zipped([Picture(0, name, Path(name), "all") for name in names]) == [
        "a.png",
        "etc/b.png",
        "c/d.png.png",
        "c/d.jpg.png",
    ]


def test_what_is_undone_is_taken_out_again(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path), task="segment")
    picture, other = labels.collection.pictures[:2]
    for one in (picture, other):
        labels.edit(one, 0, "me", [patch(np.zeros((3, 3))), DONE])
    labels.write()
    labels.edit(picture, 1, "me", [{"kind": "state", "state": "changed"}])
    labels.write()
    assert [file.name for file in read_dataset(tmp_path / CORRECTED, "train").files] == [other.file.name]


def test_the_last_picture_that_is_undone_leaves_nothing_to_learn(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path))
    labels.edit(labels.collection.pictures[0], 0, "me", [put(), DONE])
    labels.write()
    assert splits(tmp_path) == ["train"]
    labels.edit(labels.collection.pictures[0], 1, "me", [{"kind": "state", "state": "changed"}])
    labels.write()
    assert not list((tmp_path / "annotations").iterdir())


def test_who_only_looks_writes_nothing(tmp_path: Path) -> None:
    labels = opened(coco_set(tmp_path), classes=())
    labels.close()
    assert not (tmp_path / CORRECTED).exists()


def test_broken_pictures_are_left_out_and_said(tmp_path: Path) -> None:
    labels = opened(coco_set(tmp_path), classes=())
    broken = labels.collection.pictures[0]
    broken.file.write_bytes(b"no picture")
    labels.write(unedited=True)
    assert sum(map(len, labels.written.parts().values())) == 2
    assert any(broken.file.name in note for note in labels.notes)
