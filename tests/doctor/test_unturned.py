from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.doctor.sets import picture, save

from delineate.data.images import read_header
from delineate.doctor.mending.unturned import unturned
from delineate.values import InputError


def marked(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_the_mark_is_taken_off_and_nothing_else_changes(suffix: str, orientation: int, tmp_path: Path) -> None:
    file = save(tmp_path / f"a{suffix}", "a", exif=marked(orientation))
    before, mended = file.read_bytes(), unturned(file)
    stored = np.array(Image.open(file))
    assert len(mended) == len(before)
    assert sum(one != other for one, other in zip(before, mended, strict=True)) <= 1 + 4 * (suffix == ".png")
    file.write_bytes(mended)
    assert read_header(file).orientation == 1
    assert (np.array(Image.open(file)) == stored).all()


def test_a_picture_without_the_mark_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    picture("a").save(file)
    with pytest.raises(InputError, match="EXIF's mark is not where it can be taken off"):
        unturned(file)
