import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.proposals import WithProposals, proposals_folder
from delineate.values import Categories, Sample, Target

from .samples import everything


class Pictures(Dataset):
    """Files without objects."""

    categories = Categories(class_names=("a",))
    contents = frozenset({"boxes"})

    def __init__(self, *files: Path) -> None:
        self.files = files

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return Target(image_size=image_size)


def drawn(file: Path, gray: int) -> Path:
    Image.new("RGB", (30, 20), (gray, gray, gray)).save(file)
    return file


class Search:
    """Finds one box, which the picture's gray decides, and remembers how often it was asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, image: Tensor) -> Tensor:
        self.count += 1
        return torch.tensor([[0.0, 0.0, 1.0 + int(image[0, 0, 0]) / 10, 7.25]])


def never(image: Tensor) -> Tensor:
    pytest.fail("was searched again")


def proposals(
    find: Callable[[Tensor], Tensor], files: list[Path], folder: Path | None, settings: str = "a"
) -> list[Tensor]:
    dataset = WithProposals(Pictures(*files), find, settings=settings, folder=folder)
    found = [dataset[index].target.proposals for index in range(len(dataset))]
    assert all(boxes is not None for boxes in found)
    return found  # type: ignore[return-value]


def test_what_was_found_once_is_not_looked_for_again(tmp_path: Path) -> None:
    files = [drawn(tmp_path / f"{gray}.png", gray) for gray in (10, 20, 30)]
    search = Search()
    first = proposals(search, files, tmp_path / "kept")
    assert search.count == 3
    assert [boxes[0, 2].item() for boxes in first] == [2, 3, 4]
    again = proposals(never, files, tmp_path / "kept")
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(again, first, strict=True))
    assert all(boxes.dtype == torch.float32 for boxes in again)


def test_none_found_is_kept_too(tmp_path: Path) -> None:
    files = [drawn(tmp_path / "x.png", 10)]
    proposals(lambda _: torch.zeros(0, 4), files, tmp_path / "kept")
    (again,) = proposals(never, files, tmp_path / "kept")
    assert again.shape == (0, 4)


def test_the_picture_and_not_its_name_decides(tmp_path: Path) -> None:
    file = drawn(tmp_path / "x.png", 10)
    proposals(Search(), [file], tmp_path / "kept")
    moved = tmp_path / "elsewhere" / "y.png"
    moved.parent.mkdir()
    file.rename(moved)
    (same,) = proposals(never, [moved], tmp_path / "kept")
    assert same[0, 2] == 2
    (other,) = proposals(Search(), [drawn(file, 20)], tmp_path / "kept")
    assert other[0, 2] == 3


def test_other_settings_look_again(tmp_path: Path) -> None:
    file, search = drawn(tmp_path / "x.png", 10), Search()
    for settings in ("a", "b", "a", "b"):
        proposals(search, [file], tmp_path / "kept", settings)
    assert search.count == 2


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    file, search = drawn(tmp_path / "x.png", 10), Search()
    for _ in range(2):
        proposals(search, [file], None)
    assert search.count == 2
    assert os.listdir(tmp_path) == ["x.png"]  # noqa: PTH208


def test_pictures_that_are_no_files_are_searched_each_time(tmp_path: Path) -> None:
    search = Search()
    whole = everything()
    dataset = WithProposals(whole, search, settings="a", folder=tmp_path / "kept")
    assert len(dataset) == len(whole) == 3
    for _ in range(2):
        sample = dataset[0]
        assert torch.equal(sample.image, whole[0].image)
        assert torch.equal(sample.target.boxes, whole[0].target.boxes)
        assert sample.target.proposals is not None
    assert whole[0].target.proposals is None
    assert search.count == 2
    assert not (tmp_path / "kept").exists()


def test_a_search_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fails(image: Tensor) -> Tensor:
        raise RuntimeError("no memory")

    file = drawn(tmp_path / "x.png", 10)
    with pytest.raises(RuntimeError, match="no memory"):
        proposals(fails, [file], tmp_path / "kept")
    (found,) = proposals(Search(), [file], tmp_path / "kept")
    assert found[0, 2] == 2
    assert [kept.suffix for kept in (tmp_path / "kept").iterdir()] == [".npy"]
    assert np.load(next((tmp_path / "kept").iterdir()), allow_pickle=False).tolist() == found.tolist()


def test_they_are_kept_in_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = tmp_path / "data"
    data.mkdir()
    folder = proposals_folder(data)
    assert folder == data / ".delineate" / "proposals"
    assert folder.is_dir()
    (data / "annotations.json").write_text("{}")
    assert proposals_folder(data / "annotations.json") == folder


@pytest.mark.parametrize("reason", ["cannot be made", "cannot be written to"])
def test_a_read_only_data_set_falls_back_to_the_users_cache(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = tmp_path / "data"
    data.mkdir()
    if reason == "cannot be made":
        (data / ".delineate").write_text("a file is in its place")
    else:
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: data not in Path(path).parents and access(path, mode))
    folder = proposals_folder(data)
    assert folder == tmp_path / "cache" / "delineate" / "proposals"
    file = drawn(data / "x.png", 10)
    proposals(Search(), [file], folder)
    proposals(never, [file], folder)


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file is in its place")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / ".delineate").write_text("a file is in its place")
    assert proposals_folder(tmp_path) is None


def test_a_sample_keeps_its_file_and_target(tmp_path: Path) -> None:
    file = drawn(tmp_path / "x.png", 10)
    sample = WithProposals(Pictures(file), Search(), settings="a", folder=None)[0]
    assert isinstance(sample, Sample)
    assert sample.file == str(file)
    assert sample.target.image_size == (20, 30)
