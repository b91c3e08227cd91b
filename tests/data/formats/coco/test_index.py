"""What is read of large files is kept, and mapped the next time."""

import json
import os
import pickle
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
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


def test_before_a_large_file_is_read_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder(tmp_path, *MANY)
    monkeypatch.setattr(reading, "LARGE", 2**26)
    read_dataset(tmp_path, "val")
    assert caplog.messages == [], "a small one is read at once"
    monkeypatch.setattr(reading, "LARGE", 0)
    with monkeypatch.context() as patched:
        patched.setattr(reading, "_read_large", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            read_dataset(tmp_path, "val")
    (line,) = caplog.messages
    assert re.fullmatch(r".*instances_val\.json: reading 0 MB, once; .*\.delineate/coco keeps what is read", line)
    for _ in range(2):
        read_dataset(tmp_path, "val")
    assert caplog.messages == [line, line], "the third time it was kept"
    with monkeypatch.context() as patched:
        patched.setattr(index, "kept_beside", lambda *_: None)
        shutil.rmtree(tmp_path / ".delineate")
        read_dataset(tmp_path, "val")
    assert caplog.messages[-1].endswith("every time, as nothing can be kept beside the data")


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


def test_pictures_that_turn_up_elsewhere_are_seen(kept: Path) -> None:
    """Where none is missing, no other folder is looked into; where one is, it may be in any of the usual ones."""
    (kept / "notes").mkdir()
    assert isinstance(read_dataset(kept, "val"), Indexed)
    (kept / "val" / "5.png").rename(kept / "5.png")
    assert read_dataset(kept, "val").files[0] == kept / "5.png"
    (kept / "images").mkdir()
    (kept / "5.png").rename(kept / "images" / "5.png")
    assert read_dataset(kept, "val").files[0] == kept / "images" / "5.png"


def test_the_size_of_a_picture_that_the_file_does_not_give_is_not_kept_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE", 0)
    images = [{"id": 5, "file_name": "5.png"}, {"id": 2, "file_name": "2.png", "height": 20, "width": 30}]
    folder(tmp_path, object_(), object_(id=2, image_id=2), images=images)
    assert read_dataset(tmp_path, "val").size(0) == (20, 30)
    with (tmp_path / "val" / "5.png").open("wb") as file:  # which writes nothing in its folder
        Image.new("RGB", (9, 9)).save(file, format="png")
    dataset = read_dataset(tmp_path, "val")
    assert dataset.size(0) == (9, 9)
    assert dataset.target(0, (9, 9)).boxes.tolist() == [[2, 3, 9, 9]]


def test_what_is_written_while_it_is_read_is_not_taken_for_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE", 0)
    folder(tmp_path, *MANY)
    read = reading._read_large
    with monkeypatch.context() as patched:
        patched.setattr(reading, "_read_large", lambda *given: (read(*given), folder(tmp_path, MANY[0]))[0])
        read_dataset(tmp_path, "val")
    assert not list(tmp_path.rglob("facts.json"))
    dataset = read_dataset(tmp_path, "val")
    assert sum(len(dataset.target(row, (20, 30))) for row in range(2)) == 1


def test_an_array_that_is_cut_off_is_made_anew(kept: Path) -> None:
    [boxes] = kept.rglob("boxes.npy")
    boxes.write_bytes(boxes.read_bytes()[:-5])
    before = read_dataset(kept, "val")
    assert isinstance(before, Indexed)
    same(before, read_dataset(kept, "val"))
    assert np.load(boxes).shape == (len(MANY), 4)


def test_a_killed_process_leaves_what_hinders_nobody_and_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE", 0)
    folder(tmp_path, *MANY)
    child = os.fork()
    if child == 0:
        index.np.save = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        read_dataset(tmp_path, "val")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    place = tmp_path / ".delineate" / "coco"
    [left] = place.iterdir()
    assert left.name.startswith("."), "it is not taken for what is whole"
    assert isinstance(read_dataset(tmp_path, "val"), Indexed)
    assert left.is_dir(), "somebody may still be writing there"
    os.utime(left, (time.time() - 7200,) * 2)
    folder(tmp_path, *MANY[:3])
    assert isinstance(read_dataset(tmp_path, "val"), Indexed)
    assert [one.name.startswith(".") for one in place.iterdir()] == [False]


def test_a_folder_that_is_only_read_is_kept_in_the_cache_or_by_who_could_write(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: may(path, mode) and tmp_path / ".delineate" != path.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    by_others = read_dataset(kept, "val")
    assert isinstance(by_others, Indexed)
    assert by_others.folder.is_relative_to(kept / ".delineate")
    shutil.rmtree(kept / ".delineate" / "coco")
    for _ in range(2):
        dataset = read_dataset(kept, "val")
        assert isinstance(dataset, Indexed)
        assert dataset.folder.is_relative_to(tmp_path / "cache" / "delineate" / "coco")


@pytest.mark.parametrize("damage", ["", "{}", '{"version": 0}', '{"version": 2, "stamps": {}}'])
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


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [{"a": 1}',
        '{"images": ["',
        '{"images": [{"a": 1}, {"b" 2}]}',
        '{"images": [{"a": 1} {"b": 2}]}',
        '{"images": [{"a": 1}, {"b": 2},]}',
        '{"images": [{"a": 1},, {"b": 2}]}',
        '{"images": [, {"a": 1}]}',
        '{"images": [{"a": 1}] "other": []}',
        '{"images": [{"a": 1}]} {"images": []}',
        '{"images": [{"a": 1}}',
        '{"images": [{"a": 1}], "other": bare}',
    ],
)
def test_json_that_is_cut_off_or_broken_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(slices, "SLICE", 1)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="this is no JSON"):
        list(slices.find_lists(tmp_path / "a.json").slices("images"))


@pytest.mark.parametrize(
    "text", ['{"images": [1], "images": [2]}', '{"images": [1], "images": 2}', '[["images"], [1]]']
)
def test_lists_are_those_that_json_says_they_are(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    found, read = slices.find_lists(tmp_path / "a.json"), json.loads(text)
    lists = {name: value for name, value in dict(read).items() if isinstance(value, list)} if text[0] == "{" else {}
    assert {name: [one for part in found.slices(name) for one in part] for name in found.spans} == lists


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_files_of_other_encodings_are_read_as_small_ones_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    file = folder(tmp_path, *MANY) / "annotations" / "instances_val.json"
    expected = read_dataset(tmp_path, "val")
    file.write_text(file.read_text(), encoding=encoding)
    monkeypatch.setattr(reading, "LARGE", 0)
    same(expected, read_dataset(tmp_path, "val"))


def test_words_are_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "BLOCK", 7)
    (tmp_path / "a.json").write_text('{"images": [{"keypoints": 3}]}')
    assert slices.find_lists(tmp_path / "a.json", ('"keypoints"', '"other"')).words == {'"keypoints"'}


SIDE = st.sampled_from([0, 1, 2.5, 7, 12, 40, -3])
ID = st.sampled_from([5, 2, "5", 2.0])
SHAPE = st.sampled_from([None, [], POLYGONS, [[1, 2, 9, 2]], [[2, 2, 9, 3, 4, 8]], RLE, {**RLE, "counts": "abc"}])
REST = {
    "id": st.integers(1, 4),
    "area": st.sampled_from([None, 0, 7, 3.5]),
    "iscrowd": st.sampled_from([0, 1, None]),
    "ignore": st.sampled_from([0, 1, True]),
    "keypoints": st.sampled_from([[], None, [1, 2, 2, 0, 0, 0], [40, 2, 1, 3, 3, 2]]),
}
IDS = {"image_id": ID, "category_id": st.sampled_from([9, 3])}
BOXED = st.fixed_dictionaries(
    {**IDS, "bbox": st.tuples(SIDE, SIDE, SIDE, SIDE)}, optional={**REST, "segmentation": SHAPE}
)
MASKED = st.fixed_dictionaries(
    {**IDS, "segmentation": st.sampled_from([POLYGONS, RLE])}, optional={**REST, "bbox": st.sampled_from([None, []])}
)
OBJECT = BOXED | MASKED
FAULT = st.sampled_from(
    [
        {"image_id": 7},
        {"category_id": "x"},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, None, 4]},
        {"area": "big"},
        {"iscrowd": "maybe"},
        {"segmentation": [[1, 2, 3]]},
        {"segmentation": "abc"},
        {"keypoints": [1, 2]},
        {"keypoints": [1, 2, 5, 0, 0, 0]},
        {"id": None},
    ]
)


def outcome(root: Path) -> Dataset | str:
    try:
        return read_dataset(root, "val")
    except InputError as error:
        return str(error)


@settings(max_examples=30, deadline=None, report_multiple_bugs=False)
@given(objects=st.lists(OBJECT, max_size=7), fault=st.none() | FAULT, posed=st.booleans(), num_named=st.integers(2, 3))
def test_read_in_slices_a_set_is_what_it_is_read_whole(
    tmp_path_factory: pytest.TempPathFactory, objects: list[Any], fault: Any, posed: bool, num_named: int
) -> None:
    """Places, areas, crowds, keypoints, masks, the order of categories, lines, and what is refused in which words."""
    root = tmp_path_factory.mktemp("any")
    rows = [{"id": number, **row} for number, row in enumerate(objects, start=10)]
    if fault and (posed or "keypoints" not in fault):  # of several, which one is named first may differ
        rows.append(object_(**{"id": 99, **fault}))
    body = {"keypoints": ["left", "right"]} if posed else {}
    categories = [{"id": 9, "name": "cat"}, {"id": 3, "name": "dog", **body}, {"id": 1, "name": "background"}]
    images = [{"id": 5, "file_name": "5.png"}, {"id": 2, "file_name": "2.png", "height": 20, "width": 30}]
    images.append({"id": 4, "file_name": "./5.png", "height": 20, "width": 30})
    folder(root, *rows, categories=categories, images=images[:num_named])
    whole = outcome(root)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "LARGE", 0)
        for size in (1, 300, 2**20):
            patched.setattr(slices, "SLICE", size)
            shutil.rmtree(root / ".delineate", ignore_errors=True)
            for _ in range(2):  # made, and mapped
                cut = outcome(root)
                if isinstance(whole, str) or isinstance(cut, str):
                    assert cut == whole
                else:
                    alike(whole, cut)


def alike(whole: Dataset, cut: Dataset) -> None:
    """Compare two data sets, of which targets may be refused, as masks are looked at when they are asked for."""
    refused = refusals(whole)
    assert refusals(cut) == refused
    if any(refused):
        whole, cut = (dataset.needing(frozenset({"boxes", "keypoints"})) for dataset in (whole, cut))
    same(whole, cut)


def refusals(dataset: Dataset) -> list[str]:
    said = []
    for row in range(len(dataset)):
        try:
            dataset.target(row, (20, 30))
        except InputError as error:
            said.append(str(error))
    return said


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
