import errno
from pathlib import Path

import pytest

from delineate.io.files import written_beside


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left on device") as caught, written_beside(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_fills_the_disk_names_what_is_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"a\.jpg") as caught, written_beside(tmp_path / "a.jpg"):
        raise OSError(errno.ENOSPC, "No space left on device", "source.jpg")
    assert caught.value.filename == str(tmp_path / "a.jpg")


def test_a_source_that_is_missing_is_named_itself(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, written_beside(tmp_path / "a.jpg"):
        (tmp_path / "source.jpg").read_bytes()
    assert caught.value.filename == str(tmp_path / "source.jpg")
