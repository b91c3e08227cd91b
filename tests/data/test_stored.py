"""COCO sets whose pictures lie in tar shards, or in a store, are what they are with pictures in folders."""

import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

from delineate.data import convert, read_dataset, stored, synthesise
from delineate.data.augmentation import Augmentation, training_transform
from delineate.data.dataset import Part
from delineate.data.formats.coco import reading
from delineate.data.lists import PictureList
from delineate.data.loading import training_loader
from delineate.data.preprocess import Preprocess
from delineate.data.stored import read_stored
from delineate.io import copies, stores
from delineate.values import InputError

NUM, SIZE = 10, (48, 64)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stored") / "plain"
    synthesise(root, num_images=NUM, image_size=SIZE, splits={"train": 1.0})
    return root


@pytest.fixture
def packed(plain: Path, tmp_path: Path) -> Path:
    convert(plain, tmp_path / "packed", "coco", shard_size=3)
    return tmp_path / "packed"


@pytest.fixture
def bucket(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with the archives in a store, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stores, "PAUSES", (0.0, 0.0))
    store = fsspec.filesystem("memory")
    for archive in (packed / "images" / "train").iterdir():
        store.pipe(f"/bucket/{archive.name}", archive.read_bytes())
        archive.unlink()
    rename(packed, lambda name: f"memory://bucket/{name}")
    return packed


def rename(root: Path, change: Any) -> None:
    file = root / "annotations" / "instances_train.json"
    document = json.loads(file.read_text())
    for image in document["images"]:
        image["file_name"] = change(image["file_name"])
    file.write_text(json.dumps(document))


def kept() -> list[Path]:
    return [file for file in copies.cache_folder().iterdir() if not file.name.startswith(".")]


def check_same(root: Path, plain: Path) -> None:
    one, other = read_dataset(root, "train"), read_dataset(plain, "train")
    assert len(one) == len(other) == NUM
    assert one.categories == other.categories
    for row in range(NUM):
        assert torch.equal(one[row].image, other[row].image)
        assert torch.equal(one[row].target.boxes, other[row].target.boxes)
        assert one.size(row) == other.size(row)


@pytest.mark.parametrize("limit", [2**26, 0], ids=["whole", "in slices"])
@pytest.mark.parametrize("where", ["packed", "bucket"])
def test_pictures_in_archives_are_those_of_folders(
    where: str, limit: int, plain: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    root: Path = request.getfixturevalue(where)
    monkeypatch.setattr(reading, "LARGE", limit)
    for _ in range(2):
        check_same(root, plain)
    groups = read_dataset(root, "train").groups()
    assert groups is not None
    assert groups.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    part = Part(read_dataset(root, "train"), [9, 3]).groups()
    assert part is not None
    assert part.tolist() == [3, 1]
    assert read_dataset(plain, "train").groups() is None


def test_single_pictures_of_a_store_are_kept_as_far_as_the_bound_allows(
    plain: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    for file in (plain / "images" / "train").iterdir():
        store.pipe(f"/single/{file.name}", file.read_bytes())
    rename(packed, lambda name: f"memory://single/{name.rpartition('/')[2]}")
    sizes = [file.stat().st_size for file in (plain / "images" / "train").iterdir()]
    monkeypatch.setenv(copies.BOUND, str(max(sizes) * 3.5 / 1e9))
    check_same(packed, plain)
    assert 1 <= len(kept()) < NUM
    assert sum(file.stat().st_size for file in kept()) <= copies.bound()


def test_copies_are_fetched_once_and_the_longest_unused_goes(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = read_dataset(bucket, "train")
    fetched: list[str] = []
    copy = stores.copy
    monkeypatch.setattr(stores, "copy", lambda path, to: (fetched.append(path), copy(path, to)))
    largest = max(fsspec.filesystem("memory").size(f"/bucket/train-0000{n}.tar") for n in range(4))
    monkeypatch.setenv(copies.BOUND, str(2.2 * largest / 1e9))
    for row in (0, 1, 3, 2):
        dataset[row]
    assert [Path(url).name for url in fetched] == ["train-00000.tar", "train-00001.tar"]
    for number, file in enumerate(sorted(kept(), key=lambda file: file.stat().st_mtime)):
        os.utime(file, (time.time() - 100 + number,) * 2)
    dataset[0]  # which is used again, so that the other one goes
    dataset[6]
    dataset[1]
    assert len(fetched) == 3
    dataset[4]
    assert [Path(url).name for url in fetched[2:]] == ["train-00002.tar", "train-00001.tar"]
    assert sum(file.stat().st_size for file in kept()) <= copies.bound()
    monkeypatch.setenv(copies.BOUND, "1e-6")
    with pytest.raises(InputError, match="are more than all copies may take; raise DELINEATE_CACHE_GB"):
        dataset[9]
    monkeypatch.setenv(copies.BOUND, "much")
    with pytest.raises(InputError, match="DELINEATE_CACHE_GB: 'much' is no number of gigabytes above 0"):
        dataset[9]


def test_a_store_that_cannot_be_reached_is_asked_again_and_ends_the_work(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def unreachable(self: Any, path: str, **_: Any) -> int:
        asked.append(path)
        raise ConnectionError("no route")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "size", unreachable)
    with pytest.raises(OSError, match=r"the store cannot be reached or refuses .no route."):
        read_dataset(bucket, "train")[0]
    assert len(asked) == 3


def test_a_full_disk_is_not_taken_for_the_store(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, *_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "get_file", full)
    with pytest.raises(OSError, match="No space left on device"):
        read_dataset(bucket, "train")[0]
    assert kept() == []


def test_an_archive_that_is_cut_off_gives_what_is_whole_and_names_what_is_not(packed: Path) -> None:
    archive = packed / "images" / "train" / "train-00001.tar"
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        place = tar.getmember(names[1]).offset_data
    archive.write_bytes(archive.read_bytes()[: place + 50])
    dataset = read_dataset(packed, "train")
    dataset[3]
    for row in (4, 5):
        with pytest.raises(InputError, match=r"train-00001\.tar/.*: the archive is cut off or broken .*; write"):
            dataset[row]
    batches = loader(packed, skip_unreadable=True)
    skipped = [line for batch in batches for line in batch.skipped]
    assert len(skipped) >= 2
    archive.unlink()
    with pytest.raises(InputError, match=r"train-00001\.tar: it is not there; put it there, or remove its pictures"):
        read_dataset(packed, "train")[3]


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("b.tar/1.png", b"no tar", "this is no tar archive that is not compressed"),
        ("train-00000.tar/gone.png", None, "there is no such file in this archive"),
    ],
)
def test_archives_that_are_none(packed: Path, name: str, data: bytes | None, line: str) -> None:
    file = packed / "images" / "train" / name
    if data is not None:
        file.parent.write_bytes(data)
    with pytest.raises(InputError, match=line):
        read_stored(file)


def test_a_file_names_all_pictures_in_one_way_and_their_sizes(packed: Path) -> None:
    file = packed / "annotations" / "instances_train.json"
    document = json.loads(file.read_text())
    document["images"][4].pop("height")
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"image 5: there is no height and width, and train-00001\.tar/"):
        read_dataset(packed, "train")
    rename(packed, lambda name: name.rpartition("/")[2] if "00003" in name else name)
    with pytest.raises(InputError, match=r"is in an archive or a store, and .* is a file; name all in one way"):
        read_dataset(packed, "train")


def loader(root: Path, *, start: int = 0, **options: Any) -> list[Any]:
    dataset = read_dataset(root, "train")
    augmentation = Augmentation(scale=(1.0, 1.0), crop_size=SIZE, flip=0.5, colour=0.1)
    transform = training_transform(augmentation, Preprocess(), dataset.categories)
    batches = training_loader(dataset, [transform], batch_size=2, seed=0, **options)
    batches.set_epoch(1, start)
    return list(batches)


def test_training_reads_them_in_an_order_that_any_process_and_a_resume_repeat(bucket: Path) -> None:
    whole, left, forked = loader(bucket), loader(bucket, start=3), loader(bucket, num_workers=2)
    assert [batch.files for batch in left] == [batch.files for batch in whole[3:]]
    for one, other in zip(whole, forked, strict=True):
        assert one.files == other.files
        assert torch.equal(one.images, other.images)
    ranks = [loader(bucket, rank=rank, world_size=2) for rank in range(2)]
    together = [{*one.files, *other.files} for one, other in zip(*ranks, strict=True)]
    assert together[0] == {*whole[0].files, *whole[1].files}
    assert whole[0].files[0].startswith("memory://bucket/train-0000")


def test_lists_name_what_lies_in_stores_as_it_is_called(bucket: Path, tmp_path: Path) -> None:
    files = read_dataset(bucket, "train").files
    written = PictureList.write(tmp_path / "list.txt", bucket, "held out", files[2:4])
    assert (tmp_path / "list.txt").read_text().splitlines()[1].startswith("memory://bucket/train-00000.tar/")
    assert written.rows(files) == [2, 3]
    with pytest.raises(InputError, match=r"line 3: memory://bucket/train-00001\.tar/.* is no picture of the data"):
        PictureList(tmp_path / "list.txt", bucket).check_there(files[:3], "put it back")


def test_folders_that_are_called_as_archives_are_folders(plain: Path, packed: Path, tmp_path: Path) -> None:
    inside = tmp_path / "unpacked.tar" / "data"
    inside.parent.mkdir()
    packed.rename(inside)
    check_same(inside, plain)
    for archive in list((inside / "images" / "train").iterdir()):
        with tarfile.open(archive) as tar:
            archive.unlink()
            tar.extractall(archive, filter="data")
    stored._is_folder.cache_clear()
    check_same(inside, plain)


def test_only_coco_has_archives(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shard_size: 3 in yolo; archives are made of one picture or more, with --to"):
        convert(plain, tmp_path / "a", "yolo", shard_size=3)
