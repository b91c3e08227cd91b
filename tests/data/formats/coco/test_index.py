"""What is read of large files is kept, and mapped the next time."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.data.formats.coco.folder import folder, object_

from delineate.data import read_dataset
from delineate.data.counting import _of_objects, take_census
from delineate.data.dataset import OBJECTS, Dataset
from delineate.data.formats.coco import index, large, reading, slices
from delineate.data.formats.coco.flat import read_flat
from delineate.data.formats.coco.index import Indexed
from delineate.data.preprocess import Preprocess
from delineate.data.splits import Readable
from delineate.values import InputError

POLYGONS = [[1, 2, 9, 2, 9, 8], [3, 3, 3.5, 4, 5, 5, 4, 6]]
RLE = {"size": [20, 30], "counts": [100, 20, 480]}
MANY = [
    object_(
        id=n, image_id=(5, 2)[n % 2], bbox=[n, n, 5, 6], segmentation=shape, iscrowd=int(n == 3), ignore=int(n == 4)
    )
    for n, shape in enumerate([POLYGONS, RLE, None, RLE, [], POLYGONS, POLYGONS], start=1)
]


def same(one: Dataset, other: Dataset) -> None:
    assert [*one.files] == [*other.files]
    assert [one.categories, one.contents, [*one.problems]] == [other.categories, other.contents, [*other.problems]]
    for row in range(len(one)):
        assert one.size(row) == other.size(row)
        for name, value in vars(one.target(row, (20, 30))).items():
            expected = getattr(other.target(row, (20, 30)), name)
            assert torch.equal(value, expected) if isinstance(value, torch.Tensor) else value == expected


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of which an index was made."""
    monkeypatch.setattr(reading, "LARGE", 0)
    folder(tmp_path, *MANY)
    assert isinstance(read_dataset(tmp_path, "val"), Indexed)
    return tmp_path


def test_what_is_kept_is_what_is_read(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = read_dataset(kept, "val")
    monkeypatch.setattr(reading, "LARGE", 2**30)
    same(read_dataset(kept, "val"), mapped)
    assert len(mapped.problems) > 0


def test_the_second_time_no_json_is_read(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "find_lists", None)
    assert len(read_dataset(kept, "val")) == 2


def test_changes_are_seen(kept: Path) -> None:
    folder(kept, *MANY[:2], object_(id=9, bbox=[0, 0, 20, 19]))
    dataset = read_dataset(kept, "val")
    assert len(dataset.target(0, (20, 30))) + len(dataset.target(1, (20, 30))) == 3
    (kept / "val" / "5.png").unlink()
    os.utime(kept / "val", (1, 1))
    gone = read_dataset(kept, "val")
    with pytest.raises(InputError, match=r"5\.png: it is not there"):
        gone[0]
    (kept / "val" / "8.png").write_bytes((kept / "val" / "2.png").read_bytes())
    assert any("left out 1 picture beside" in line for line in read_dataset(kept, "val").problems)


@pytest.mark.parametrize("damage", ["", "{}", '{"version": 0}', '{"version": 1, "stamps": {}}'])
def test_an_index_that_is_none_is_made_anew(kept: Path, damage: str) -> None:
    [facts] = kept.rglob("facts.json")
    facts.write_text(damage)
    assert len(read_dataset(kept, "val")) == 2
    assert json.loads(next(kept.rglob("facts.json")).read_text())["version"] == index.VERSION


def test_without_a_place_or_with_a_full_disk_it_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reading, "LARGE", 0)
    folder(tmp_path, *MANY)
    with monkeypatch.context() as patched:
        patched.setattr(index, "kept_beside", lambda *_: None)
        alone = read_dataset(tmp_path, "val")
    with monkeypatch.context() as patched:
        patched.setattr(np, "save", full)
        without = read_dataset(tmp_path, "val")
    assert not list(tmp_path.rglob("*.npy"))
    assert [type(alone).__name__, type(without).__name__] == ["Coco", "Coco"]
    same(alone, without)
    same(alone, read_dataset(tmp_path, "val"))


def test_processes_map_the_same_arrays(kept: Path) -> None:
    dataset = read_dataset(kept, "val").needing(frozenset({"boxes"}))
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 1000, "no array is copied to another process"
    other = pickle.loads(pickled)
    same(dataset, other)
    assert isinstance(other, Indexed)
    assert isinstance(other.objects.segmentations.coordinates, np.memmap)
    other.objects.boxes[0] = 0
    assert not torch.equal(read_dataset(kept, "val").objects.boxes[0], other.objects.boxes[0])


def test_a_census_of_all_at_once_is_that_of_one_by_one(kept: Path) -> None:
    pose = {"id": 3, "name": "dog", "keypoints": ["a", "b"]}
    points = object_(id=20, keypoints=[1, 2, 2, 0, 0, 0])
    folder(
        kept / "posed", *MANY, points, object_(id=21, bbox=[1, 1, 0.4, 9]), categories=[{"id": 9, "name": "cat"}, pose]
    )
    for root in (kept, kept / "posed"):
        for dataset in (read_dataset(root, "val"), Readable(read_dataset(root, "val"), [1, 0, 1], [])):
            assert dataset.needing(OBJECTS).table() is not None
            for preprocess in (None, Preprocess(short_side=10), Preprocess(size=(4, 4))):
                assert take_census(dataset, preprocess) == _of_objects(dataset.needing(OBJECTS), preprocess, False)


TEXT = st.text(st.sampled_from('{}[],:"\\ a\u00e9\n'), max_size=6)
VALUE = st.recursive(
    st.none() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


@given(
    document=st.dictionaries(TEXT, VALUE | st.lists(st.dictionaries(TEXT, VALUE, max_size=2), max_size=5), max_size=4),
    size=st.integers(1, 30),
    block=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
)
def test_slices_of_any_json_are_its_lists(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], size: int, block: int, indent: int | None
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps(document, indent=indent, ensure_ascii=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(slices, "SLICE", size)
        patched.setattr(slices, "BLOCK", block)
        patched.setattr(slices, "NUM_FOUND", 3)
        found = slices.find_lists(file)
    lists = {name: value for name, value in document.items() if isinstance(value, list)}
    assert found.spans.keys() == lists.keys()
    assert {name: [one for part in found.slices(name) for one in part] for name in lists} == lists


@pytest.mark.parametrize("text", ['{"images": [{"a": 1}', '{"images": ["', '{"images": [{"a": 1}, {"b" 2}]}'])
def test_json_that_is_cut_off_or_broken_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="this is no JSON"):
        list(slices.find_lists(tmp_path / "a.json").slices("images"))


def test_words_are_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "BLOCK", 7)
    (tmp_path / "a.json").write_text('{"images": [{"keypoints": 3}]}')
    assert slices.find_lists(tmp_path / "a.json", ('"keypoints"', '"other"')).words == {'"keypoints"'}


NUMBER = st.integers(-(10**19), 10**19) | st.floats(allow_nan=False, allow_infinity=False)
ENTRY = st.fixed_dictionaries(
    {
        "id": st.integers(0, 10**15),
        "image_id": st.integers(0, 9),
        "category_id": st.integers(0, 9),
        "bbox": st.lists(NUMBER, min_size=4, max_size=4),
    },
    optional={
        "area": NUMBER | st.none(),
        "iscrowd": st.sampled_from([0, 1, True, False, None]),
        "ignore": st.sampled_from([0, 1, 0.5]),
        "segmentation": st.sampled_from([[], None]),
        "note": VALUE,
    },
)


@given(entries=st.lists(ENTRY, max_size=5), indent=st.sampled_from([None, 2]))
def test_entries_of_numbers_are_read_to_the_last_bit(entries: list[dict[str, Any]], indent: int | None) -> None:
    read = read_flat(json.dumps(entries, indent=indent).encode().strip(b"[]"))
    if read is None:  # their numbers are too many digits long
        return
    assert read.ids.tolist() == [entry["id"] for entry in entries]
    assert [*zip(read.picture_ids, read.category_ids, strict=True)] == [
        (entry["image_id"], entry["category_id"]) for entry in entries
    ]
    assert read.boxes.tolist() == [list(map(float, entry["bbox"])) for entry in entries]
    assert read.areas.tolist() == [float(entry.get("area") or 0) for entry in entries]
    assert read.crowd.tolist() == [bool(entry.get("iscrowd")) for entry in entries]
    assert read.difficult.tolist() == [bool(entry.get("ignore")) for entry in entries]


GOOD = '{"id": 1, "image_id": 2, "category_id": 3, "bbox": [1, 2.5, 3, 4e0], "area": 0.1}'


@pytest.mark.parametrize(
    ("old", "new", "is_read"),
    [
        ("", "", True),
        ("2.5", "12345.678901234567", True),
        ("2.5", "-2.5", True),
        ('"id": 1', '"other": {"a": ["}", "\\""]}, "id": 1', True),
        ("}", '}, {"id": 1}', False),
        ('"id": 1', '"id": "1"', False),
        ('"id": 1', '"id": 1.0', False),
        ('"id": 1', '"id": 12345678901234567890', False),
        ("2.5", "null", False),
        ("2.5", "02.5", False),
        ("2.5", "2.", False),
        ("2.5", "NaN", False),
        ("4e0]", "4e0, 5]", False),
        ("4e0]", "4e999]", False),
        ("0.1", '"0.1"', False),
        ("0.1", '0.1, "segmentation": [[1, 2, 3, 4, 5, 6]]', False),
        ("0.1", '0.1, "keypoints": [1, 2, 2]', False),
        ("0.1", "0.1,", False),
        (', "area"', ' "area"', False),
        ("}", "} {}", False),
    ],
)
def test_what_is_no_entry_of_numbers_is_left_to_others(old: str, new: str, is_read: bool) -> None:
    assert (read_flat(GOOD.replace(old, new).encode()) is not None) == is_read
