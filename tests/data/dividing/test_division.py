import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from delineate.data import convert, divide, read_dataset, synthesise
from delineate.data.dividing.duplicates import alike, near_duplicates
from delineate.data.dividing.stratification import stratified
from delineate.data.formats import splits
from delineate.values import InputError

NUM_PICTURES = 40
RARE = 10
"""Every fourth picture has an object of the second class."""


def picture(seed: int) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(cells).resize((64, 48), Image.Resampling.NEAREST)


def write(root: Path, count: int = NUM_PICTURES) -> Path:
    """COCO data of one part, `all`, in the folders a and b: cats in every picture, a dog in every fourth."""
    images, annotations = [], []
    for index in range(count):
        name = f"{'ab'[index % 2]}/p{index // 4}_{index:02d}.png"
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(index).save(root / "images" / name)
        images.append({"id": index, "file_name": name, "height": 48, "width": 64})
        for category in [1] * (1 + index % 3) + [2] * (index % 4 == 0):
            box = {"bbox": [4 + len(annotations) % 20, 4, 20, 16], "area": 320, "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": index, "category_id": category, **box})
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    (root / "annotations").mkdir()
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / "all.json").write_text(json.dumps(document))
    return root


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("splitting") / "data")


@pytest.fixture
def data(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "data")
    return tmp_path / "data"


def names(root: Path, split: str) -> set[str]:
    return {file.name for file in read_dataset(root, split).files}


def test_lists_make_parts_and_no_picture_is_moved(data: Path) -> None:
    before = sorted(path for path in data.rglob("*") if path.is_file())
    division = divide(data)
    assert {name: len(rows) for name, rows in division.parts.items()} == {"train": 28, "val": 6, "test": 6}
    lists = {data / "splits" / f"{name}.txt" for name in division.parts}
    assert sorted(path for path in data.rglob("*") if path.is_file()) == sorted({*before, *lists})
    first, *lines = (data / "splits" / "val.txt").read_text().splitlines()
    assert first.startswith("# divides all; delineate split ")
    assert {Path(line).name for line in lines} == names(data, "val")
    assert all((data / line).is_file() for line in lines)
    assert splits(data) == ["test", "train", "val"]
    parts = [names(data, split) for split in splits(data)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == NUM_PICTURES


def test_each_class_is_shared_as_the_pictures_are(original: Path) -> None:
    for seed in range(5):
        division = divide(original, val=0.2, test=0.2, seed=seed, write=False)
        assert {name: row["dog"] for name, row in division.counts.items()} == {"train": 6, "val": 2, "test": 2}
        assert division.off < 0.05
    assert not (original / "splits").exists()


def test_the_seed_alone_decides(original: Path) -> None:
    first, again, other = (divide(original, seed=seed, write=False).parts for seed in (0, 0, 1))
    assert first == again != other


def test_pictures_of_a_group_stay_together(original: Path) -> None:
    for group in ("prefix", r"^(p\d+)_"):
        division = divide(original, group=group, write=False)
        prefixes = [{division.files[row].name[:2] for row in rows} for rows in division.parts.values()]
        assert len(set.union(*prefixes)) == sum(map(len, prefixes)) == 10
        assert len(division.groups) == 10
    halves = divide(original, group="folder", test=0.0, val=0.5, write=False)
    assert [{halves.files[row].parent.name for row in rows} for rows in halves.parts.values()] in (
        [{"a"}, {"b"}],
        [{"b"}, {"a"}],
    )


def test_pictures_that_look_the_same_stay_together(data: Path) -> None:
    saved_again = data / "images" / "b" / "p0_01.png"
    picture(0).resize((128, 96)).save(saved_again, format="jpeg", quality=60)
    division = divide(data, write=False)
    [group] = division.duplicates or []
    assert [division.files[row].name for row in group] == ["p0_00.png", "p0_01.png"]
    for seed in range(6):
        parts = divide(data, seed=seed, write=False).parts.values()
        assert sum(set(group) <= set(rows) for rows in parts) == 1
    assert divide(data, duplicates="apart", write=False).duplicates is None


def test_hashes_that_differ_by_up_to_three_bits_are_found_directly_or_by_way_of_others() -> None:
    base = 0x0123456789ABCDEF
    values = [base, base ^ 0b111, base ^ 0b111 ^ (0b111 << 40), base ^ (0b1111 << 20), 0]
    assert alike(np.array(values, dtype=np.uint64)) == [[0, 1, 2]]
    assert alike(np.zeros(0, dtype=np.uint64)) == []


def test_what_cannot_be_read_is_left_out_and_said_at_once(data: Path) -> None:
    short, empty, garbled = (data / "images" / name for name in ("a/p0_00.png", "b/p0_01.png", "a/p0_02.png"))
    whole = garbled.read_bytes()
    short.write_bytes(short.read_bytes()[:200])
    empty.write_bytes(b"")
    garbled.write_bytes(whole[:200] + bytes(40) + whole[240:])  # begins and ends well
    read, groups, lines = near_duplicates([short, *sorted(data.glob("images/b/p1*"))])
    assert (read, groups, len(lines)) == ([1, 2], [], 1)
    for duplicates, num_read in (("together", NUM_PICTURES - 3), ("apart", NUM_PICTURES - 2)):
        division = divide(data, duplicates=duplicates, write=False)
        (said,) = [note for note in division.notes if "that cannot be read" in note]
        assert f"left out {NUM_PICTURES - num_read} pictures that cannot be read: {short}: it ends too early" in said
        assert f"{empty}: the file is empty" in said
        assert sum(map(len, division.parts.values())) == len(division.files) == num_read


def test_one_part_is_divided_and_the_others_stay(data: Path) -> None:
    shutil.copyfile(data / "annotations" / "all.json", data / "annotations" / "test.json")
    with pytest.raises(InputError, match="there are the parts all, test; say with --split which one"):
        divide(data)
    with pytest.raises(InputError, match="the data have a part 'test' beside 'all'"):
        divide(data, "all", test=0.1)
    assert set(divide(data, "all").parts) == {"train", "val"}
    assert splits(data) == ["test", "train", "val"]
    assert len(read_dataset(data, "test")) == NUM_PICTURES


def test_a_json_file_has_its_lists_beside_it(data: Path) -> None:
    file = data / "annotations" / "all.json"
    divide(file)
    assert (data / "annotations" / "splits" / "train.txt").is_file()
    assert splits(file) == ["test", "train", "val"]
    assert len(read_dataset(file, "train")) == 28
    other = shutil.copyfile(file, file.with_name("other.json"))
    assert splits(other) == ["other"]


@pytest.mark.parametrize("format", ["coco", "voc", "yolo", "mask_folder"])
def test_the_lists_are_honoured_in_every_format(tmp_path: Path, format: str) -> None:  # noqa: A002
    synthesise(tmp_path / "made", num_images=12, image_size=(48, 48), splits={"train": 1.0})
    root = tmp_path / format
    convert(tmp_path / "made", root, format)
    division = divide(root, "train", duplicates="apart")
    assert division.unit == ("pixels" if format == "mask_folder" else "objects")
    assert {split: len(read_dataset(root, split)) for split in splits(root)} == {"test": 2, "train": 8, "val": 2}
    convert(root, tmp_path / "again", "mask_folder" if format == "mask_folder" else "voc")
    assert {split: len(read_dataset(tmp_path / "again", split)) for split in ("train", "val", "test")} == {
        name: len(rows) for name, rows in division.parts.items()
    }


def test_a_listed_picture_that_is_gone_and_one_in_two_lists_are_named(data: Path) -> None:
    divide(data)
    val = data / "splits" / "val.txt"
    lines = val.read_text().splitlines()
    val.write_text("\n".join([*lines, "images/nowhere.png"]) + "\n")
    dataset = read_dataset(data, "val")
    assert len(dataset) == len(lines) - 1
    assert any(
        "val.txt: 1 picture of 7 not there any more: images/nowhere.png, left out" in p for p in dataset.problems
    )
    val.write_text("\n".join([lines[0], "images/nowhere.png"]) + "\n")
    with pytest.raises(
        InputError, match=r"val\.txt: 1 picture of 1 not there any more: .*; delete .*splits and divide"
    ):
        read_dataset(data, "val")
    taken = (data / "splits" / "train.txt").read_text().splitlines()[1]
    val.write_text("\n".join([*lines, taken]) + "\n")
    with pytest.raises(InputError, match=rf"val\.txt: line {len(lines) + 1} is in train\.txt, too"):
        read_dataset(data, "val")


def test_pictures_in_no_list_are_counted(data: Path) -> None:
    divide(data)
    val = data / "splits" / "val.txt"
    *lines, dropped = val.read_text().splitlines()
    val.write_text("\n".join(lines) + "\n")
    [problem] = read_dataset(data, "train").problems
    assert "1 picture of 'all' in no list" in problem
    assert Path(dropped).name in problem


def test_lists_of_a_part_that_is_gone_are_an_error_and_other_files_are_not(data: Path) -> None:
    divide(data)
    (data / "annotations" / "all.json").rename(data / "annotations" / "every.json")
    with pytest.raises(InputError, match=r"it divides 'all', which the data have not \(there are: every\); delete"):
        splits(data)
    for file in (data / "splits").iterdir():
        file.write_text("something else\n")
    assert splits(data) == ["every"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val": 0.6, "test": 0.5}, "leave none to train on"),
        ({"val": 0.0, "test": 0.0}, "there is nothing to divide off"),
        ({"val": -0.1}, "-0.1 is no share"),
        ({"split": "val"}, "no split 'val'; there are: all"),
        ({"group": "folder", "test": 0.3}, r"no picture would be left for it: of 40 pictures in 2 groups"),
        ({"group": "("}, "is no regular expression"),
        ({"group": "^x"}, r"not found in the names of 40 pictures: p0_00\.png, "),
    ],
)
def test_mistakes(original: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        divide(original, **options, write=False)


def test_lists_are_not_written_over(data: Path) -> None:
    divide(data)
    before = (data / "splits" / "train.txt").read_bytes()
    with pytest.raises(InputError, match="splits: there is something already; delete it"):
        divide(data, seed=1)
    assert (data / "splits" / "train.txt").read_bytes() == before


def test_a_large_thing_is_no_likelier_to_go_to_the_largest_part() -> None:
    amounts = np.array([[10.0, 1]] * 40 + [[1.0, 1]] * 40)
    parts = stratified(amounts, np.array([0.5, 0.25, 0.25]), seed=0)
    large = np.bincount(parts[:40], minlength=3)
    assert abs(large - np.array([20, 10, 10])).max() <= 2
    assert abs(np.bincount(parts) - np.array([40, 20, 20])).max() <= 2
