from pathlib import Path

import pytest
from PIL import Image

from delineate.data.images import ORIENTATION
from delineate.data.pairing import check_size, unpaired, unread, unsplit
from delineate.values import InputError


def test_pictures_that_are_not_read_and_links_to_nowhere_are_counted(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.dng", "sub/c.heic", "d.jpg", "e.txt", ".f.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "g.png").symlink_to(tmp_path / "nowhere.png")
    assert unread(tmp_path) == [
        f"{tmp_path}: 3 pictures of a kind that is not read (.HEIC, .dng, .heic), left out; save as PNG or JPEG: "
        "a.HEIC, b.dng, c.heic",
        f"{tmp_path}: 1 link to no file, left out: g.png",
    ]
    (tmp_path / "empty").mkdir()
    assert unread(tmp_path / "empty") == []


def test_the_difference_of_two_sides_is_said_with_counts_and_names() -> None:
    pictures = {key: Path(f"p/{key}.jpg") for key in "abcdef"}
    labels = {key: Path(f"l/{key}.txt") for key in "axy"}
    assert unpaired(pictures, labels, "label file", "taken as empty") == [
        "p: 5 pictures without label file, taken as empty: b.jpg, c.jpg, d.jpg and 2 more",
        "l: 2 label files without picture, left out: x.txt, y.txt",
    ]
    assert unpaired(pictures, pictures, "label file") == []


def test_pictures_outside_of_the_splits_are_said(tmp_path: Path) -> None:
    for name in ("a.jpg", "train/b.jpg", "test/deep/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (line,) = unsplit(tmp_path, ["train"])
    assert line.endswith("2 pictures in none of the splits' folders (train), left out: a.jpg, c.jpg")


def test_another_size_is_refused_with_both() -> None:
    with pytest.raises(InputError, match=r"a\.xml is 80 x 60 .*a\.jpg is 8 x 6; take the pictures that were annotated"):
        check_size((60, 80), Path("a.jpg"), (6, 8), "a.xml")


@pytest.mark.parametrize("said", [(6, 8), (0, 8), (0, 0)])
def test_the_same_size_and_none_are_right(said: tuple[int, int]) -> None:
    check_size(said, Path("a.jpg"), (6, 8), "a.xml")


@pytest.mark.parametrize(
    ("orientation", "mend"), [(6, "EXIF turns it: remove the mark"), (3, "are exchanged; correct")]
)
def test_turned_sizes_are_exifs_where_the_picture_has_such_a_mark(tmp_path: Path, orientation: int, mend: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(InputError, match=rf"a\.xml is 8 x 6 pixels wide and high, and .*a\.jpg is 6 x 8; .*{mend}"):
        check_size((6, 8), tmp_path / "a.jpg", (8, 6), "a.xml")
