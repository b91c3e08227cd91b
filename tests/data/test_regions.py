"""Large TIFFs are read in parts, which are what Pillow reads of the whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from delineate.data import regions
from delineate.data.images import read_image
from delineate.data.regions import InMemory, Tiff, as_seen, is_large_tiff, shrunk
from delineate.values import InputError

KINDS: dict[str, tuple[tuple[int, ...], type, dict[str, Any]]] = {
    "rgb": ((150, 200, 3), np.uint8, {"photometric": "rgb"}),
    "deflate": ((150, 200, 3), np.uint8, {"photometric": "rgb", "compression": "deflate", "predictor": True}),
    "lzw": ((150, 200, 3), np.uint8, {"photometric": "rgb", "compression": "lzw"}),
    "gray": ((150, 200), np.uint8, {"photometric": "minisblack"}),
    "gray16": ((150, 200), np.uint16, {"photometric": "minisblack"}),
    "rgba": ((150, 200, 4), np.uint8, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "strips": ((150, 200, 3), np.uint8, {"photometric": "rgb", "tile": None, "rowsperstrip": 32}),
    "jpeg": ((150, 200, 3), np.uint8, {"photometric": "rgb", "compression": "jpeg"}),
}


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "LARGE", 100 * 100)


def written(path: Path, kind: str) -> Path:
    shape, dtype, options = KINDS[kind]
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    if kind == "jpeg":  # its decoders differ where pixels are noise
        pixels = np.broadcast_to(np.linspace(0, 255, 200).astype(np.uint8)[:, None], shape)
    tifffile.imwrite(path / f"{kind}.tif", pixels, **{"tile": (64, 48), **options})
    return path / f"{kind}.tif"


@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_what_pillow_reads(kind: str, tmp_path: Path) -> None:
    file = written(tmp_path, kind)
    whole, picture = read_image(file), Tiff(file)
    assert is_large_tiff(file)
    assert picture.size == (150, 200)
    near = 2 if kind == "jpeg" else 1 if kind == "rgba" else 0
    for window in ((0, 0, 150, 200), (63, 47, 2, 2), (100, 150, 50, 50), (10, 0, 70, 200), (149, 199, 1, 1)):
        top, left, height, width = window
        expected = whole[:, top : top + height, left : left + width].int()
        assert int((picture.read(window).int() - expected).abs().max()) <= near
    picture.close()


def test_no_more_is_kept_than_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "KEPT", 3 * 64 * 48 * 3)
    picture = Tiff(written(tmp_path, "rgb"))
    for top in range(0, 100, 10):
        picture.read((top, 0, 50, 200))
        assert picture._bytes == sum(part.nbytes for part in picture._kept.values())
        assert len(picture._kept) <= 3
    picture.close()


def test_a_picture_is_shrunk_band_by_band_as_it_is_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "smooth.tif"
    y, x = np.mgrid[0:150, 0:200]
    tifffile.imwrite(file, np.stack([y, x, (y + x) // 2], -1).astype(np.uint8), tile=(64, 48), photometric="rgb")
    picture, image = Tiff(file), read_image(file)
    small, at_once = shrunk(picture, (75, 75)), shrunk(InMemory(image), (75, 75))
    assert small.shape == at_once.shape == (3, 56, 75)
    assert float((small.float() - at_once.float()).abs().mean()) < 1.5
    monkeypatch.setattr(regions, "SEEN", 50)
    assert as_seen(picture).shape == (3, 38, 50)
    assert torch.equal(as_seen(InMemory(image)), image)
    picture.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"photometric": "rgb", "planarconfig": "separate"}, "3 x uint8, RGB"),
        ({"photometric": "miniswhite"}, "1 x uint8, MINISWHITE"),
        ({"photometric": "rgb", "extratags": [(274, 3, 1, 6, False)]}, "its orientation is 6"),
    ],
)
def test_what_would_be_read_otherwise_is_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    shape = (150, 200) if options["photometric"] != "rgb" else (150, 200, 3)
    shape = (3, 150, 200) if "planarconfig" in options else shape
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), tile=(64, 48), **options)
    with pytest.raises(InputError, match=rf"a\.tif: .*{said}.*save it as a tiled TIFF of 8-bit RGB"):
        Tiff(tmp_path / "a.tif")


def test_a_broken_part_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, "deflate")
    with tifffile.TiffFile(file) as opened:
        offset, count = opened.pages[0].dataoffsets[3], opened.pages[0].databytecounts[3]  # type: ignore[union-attr]
    with file.open("r+b") as bytes_of:
        bytes_of.seek(offset)
        bytes_of.write(b"\xff" * count)
    picture = Tiff(file)
    with pytest.raises(InputError, match=r"deflate\.tif: part 3 is broken .*; replace the file or remove it"):
        picture.read((0, 0, 150, 200))
    picture.close()


def test_other_files_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no picture")
    assert not is_large_tiff(tmp_path / "text.tif")
    assert not is_large_tiff(tmp_path / "missing.tif")
    assert not is_large_tiff(tmp_path / "photo.jpg")
