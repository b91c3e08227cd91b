import struct
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor

from delineate.data import from_pil, image_size, images, read_image, read_label_map
from delineate.data.folders import pictures_in
from delineate.data.images import check_image
from delineate.values import InputError


def saved(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def expected(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array).permute(2, 0, 1)


def test_rgb(tmp_path: Path) -> None:
    array = noise(5, 7, 3)
    path = saved(tmp_path / "a.png", Image.fromarray(array))
    image = read_image(path)
    assert image.dtype == torch.uint8
    assert torch.equal(image, expected(array))
    assert image_size(path) == (5, 7)


def test_gray_is_repeated(tmp_path: Path) -> None:
    array = noise(5, 7)
    image = read_image(saved(tmp_path / "a.png", Image.fromarray(array)))
    assert torch.equal(image, torch.from_numpy(array).expand(3, -1, -1))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    bits = noise(5, 7) > 127
    image = read_image(saved(tmp_path / "a.png", Image.fromarray(bits)))
    assert torch.equal(image, torch.from_numpy(bits * np.uint8(255)).expand(3, -1, -1))


def test_transparency_is_composited_on_white(tmp_path: Path) -> None:
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 128]]], dtype=np.uint8)
    image = read_image(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    assert image[:, 0, 0].tolist() == [10, 20, 30]
    assert image[:, 0, 1].tolist() == [255, 255, 255]
    assert image[:, 0, 2].tolist() == [pytest.approx(127, abs=1), pytest.approx(177, abs=1), pytest.approx(227, abs=1)]


def test_gray_with_transparency(tmp_path: Path) -> None:
    pixels = np.array([[[40, 255], [40, 0]]], dtype=np.uint8)
    image = read_image(saved(tmp_path / "a.png", _la(pixels)))
    assert image[:, 0].T.tolist() == [[40, 40, 40], [255, 255, 255]]


def _la(pixels: np.ndarray) -> Image.Image:
    return Image.merge("LA", [Image.fromarray(pixels[..., 0]), Image.fromarray(pixels[..., 1])])


def palette_picture() -> Image.Image:
    picture = Image.fromarray(np.array([[0, 1, 2, 1]], dtype=np.uint8))
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return picture


def test_palette_gives_its_colours(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path / "a.png", palette_picture()))
    assert image[:, 0].T.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 255, 0]]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 255])])
def test_palette_with_transparency(tmp_path: Path, transparency: int | bytes) -> None:
    image = read_image(saved(tmp_path / "a.png", palette_picture(), transparency=transparency))
    assert image[:, 0].T.tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255], [255, 255, 255]]


def test_transparent_colour_of_rgb(tmp_path: Path) -> None:
    array = np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8)
    image = read_image(saved(tmp_path / "a.png", Image.fromarray(array), transparency=(1, 2, 3)))
    assert image[:, 0].T.tolist() == [[255, 255, 255], [4, 5, 6]]


def test_cmyk(tmp_path: Path) -> None:
    picture = Image.new("CMYK", (2, 1), (0, 255, 255, 0))
    picture.putpixel((1, 0), (0, 0, 0, 255))
    image = read_image(saved(tmp_path / "a.tif", picture))
    assert image[:, 0].T.tolist() == [[255, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_by_the_type(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 128, 129, 257, 1000, 65535]], dtype=np.uint16)
    image = read_image(saved(tmp_path / f"a.{suffix}", Image.fromarray(values)))
    assert image[:, 0].T.tolist() == [[value] * 3 for value in (0, 0, 1, 1, 4, 255)]


def test_sixteen_bits_of_small_values_stay_dark(tmp_path: Path) -> None:
    values = np.full((2, 3), 300, dtype=np.uint16)
    assert read_image(saved(tmp_path / "a.png", Image.fromarray(values))).unique().tolist() == [1]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_thirty_two_bits_are_refused(tmp_path: Path, dtype: type) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(np.ones((2, 3), dtype=dtype)))
    with pytest.raises(InputError, match=r"a\.tif: 32 bits a value"):
        read_image(path)


def test_animation_gives_its_first_picture(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (3, 2), color) for color in ("red", "blue")]
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert read_image(path)[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_exif_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    array = noise(4, 6, 3)
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(array), exif=exif, **options)
    with Image.open(path) as picture:
        turned = np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    assert turned.shape == ((6, 4, 3) if orientation >= 5 else (4, 6, 3))
    assert torch.equal(read_image(path), expected(turned))
    assert image_size(path) == turned.shape[:2]


def test_orientation_six_by_hand(tmp_path: Path) -> None:
    """6: the first row of the file is the right side of the picture, the first column its top."""
    array = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    exif = Image.Exif()
    exif[images.ORIENTATION] = 6
    image = read_image(saved(tmp_path / "a.png", Image.fromarray(array), exif=exif))
    assert torch.equal(image[:, :, 1], expected(array)[:, 0])
    assert torch.equal(image[:, 0], expected(array)[:, :, 0].flip(1))


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0"])
def test_broken_exif_leaves_the_picture(tmp_path: Path, exif: bytes) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (8, 4), "red"), exif=exif)
    assert read_image(path).shape == (3, 4, 8)
    assert image_size(path) == (4, 8)


READERS: list[Callable[[Path], object]] = [read_image, read_label_map, image_size]


@pytest.mark.parametrize("read", READERS)
def test_missing_file_folder_and_text(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(InputError, match=r"none\.png: No such file"):
        read(tmp_path / "none.png")
    with pytest.raises(InputError, match="Is a directory"):
        read(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png: this is text, not a picture; replace the file or remove it"):
        read(tmp_path / "text.png")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(InputError, match=r"empty\.jpg: the file is empty; replace the file or remove it"):
        read(tmp_path / "empty.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp", "gif", "webp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_file(tmp_path: Path, suffix: str, share: float) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise(64, 64, 3)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(
        InputError,
        match=rf"a\.{suffix}: (it ends too early|the picture is broken|this is no picture).*; replace the file or",
    ) as error:
        read_image(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_what_ends_too_early_is_seen_without_decoding_and_what_has_more_behind_is_whole(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise(64, 64, 3)))
    whole = path.read_bytes()
    for end in (b"", bytes(100), b"a note behind"):
        path.write_bytes(whole + end)
        check_image(path)
    path.write_bytes(whole[:-300])
    with pytest.raises(InputError, match="it ends too early"):
        check_image(path)
    path.write_bytes(whole)
    monkeypatch.setattr(images, "read_image", lambda path: pytest.fail("was decoded"))
    check_image(path)


def test_broken_bytes_raise_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for suffix in ("jpg", "png", "tif", "gif", "webp", "bmp"):
        whole = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise(32, 32, 3))).read_bytes()
        for trial in range(30):
            broken = bytearray(whole)
            for place in random.integers(0, len(broken), 8):
                broken[place] = random.integers(256)
            path = tmp_path / f"{trial}.{suffix}"
            path.write_bytes(broken)
            with suppress(InputError):
                assert read_image(path).dtype == torch.uint8


def claiming(path: Path, width: int, height: int) -> Path:
    """A BMP whose header claims a size that its few bytes do not have."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    path.write_bytes(b"BM" + struct.pack("<IHHI", 54 + 12, 0, 0, 54) + header + bytes(12))
    return path


@pytest.mark.parametrize("side", [11_600, 13_000, 20_000])
@pytest.mark.parametrize("read", READERS)
def test_bomb_is_refused_before_decoding(tmp_path: Path, read: Callable[[Path], object], side: int) -> None:
    with pytest.raises(InputError, match=r"bomb\.bmp: the file claims more than 134217728 pixels"):
        read(claiming(tmp_path / "bomb.bmp", side, side))


def test_a_pillow_picture_has_the_same_limit_and_is_not_decoded(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns when it opens one
        picture = Image.open(claiming(tmp_path / "bomb.bmp", 11_600, 11_600))
    with picture, pytest.raises(InputError, match="upload: the file claims more than 134217728 pixels"):
        from_pil(picture, "upload")


def test_large_pictures_below_the_limit_do_not_warn(tmp_path: Path) -> None:
    assert image_size(claiming(tmp_path / "large.bmp", 11_000, 11_000)) == (11_000, 11_000)


def test_threads_leave_the_warning_filters(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(noise(16, 16, 3)))
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_image, [path] * 200))
    assert list(warnings.filters) == filters


def test_label_map_keeps_indices(tmp_path: Path) -> None:
    assert read_label_map(saved(tmp_path / "p.png", palette_picture())).tolist() == [[0, 1, 2, 1]]
    assert read_label_map(saved(tmp_path / "t.png", palette_picture(), transparency=1)).tolist() == [[0, 1, 2, 1]]
    gray = np.array([[0, 11, 255]], dtype=np.uint8)
    assert read_label_map(saved(tmp_path / "g.png", Image.fromarray(gray))).tolist() == [[0, 11, 255]]
    assert read_label_map(saved(tmp_path / "b.png", Image.fromarray(gray > 5))).tolist() == [[0, 1, 1]]
    wide = np.array([[0, 300, 65535]], dtype=np.uint16)
    assert read_label_map(saved(tmp_path / "w.png", Image.fromarray(wide))).tolist() == [[0, 300, 65535]]


@pytest.mark.parametrize("suffix", ["bmp", "tif", "pgm"])
def test_label_map_of_other_exact_formats(tmp_path: Path, suffix: str) -> None:
    gray = np.array([[0, 11, 255]], dtype=np.uint8)
    assert read_label_map(saved(tmp_path / f"g.{suffix}", Image.fromarray(gray))).tolist() == [[0, 11, 255]]


@pytest.mark.parametrize("suffix", ["gif", "tif"])
def test_label_map_whose_values_were_changed_is_refused(tmp_path: Path, suffix: str) -> None:
    options = {"compression": "jpeg"} if suffix == "tif" else {}
    path = saved(tmp_path / f"g.{suffix}", Image.fromarray(noise(8, 8)), **options)
    with pytest.raises(InputError, match=rf"g\.{suffix}: a label map is .* which changes values: save the original"):
        read_label_map(path)


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "jp2", "J2K", "tga", "pbm", "PNG"])
def test_pictures_are_found_by_every_suffix_that_is_read(tmp_path: Path, suffix: str) -> None:
    kind = {"jfif": "jpeg", "jpe": "jpeg", "pbm": "ppm", "jp2": "jpeg2000", "J2K": "jpeg2000"}.get(suffix, suffix)
    path = saved(tmp_path / f"a.{suffix}", Image.new("1" if suffix == "pbm" else "RGB", (8, 4)), format=kind)
    assert pictures_in(tmp_path) == [path]
    assert image_size(path) == (4, 8)
    assert read_image(path).shape == (3, 4, 8)


def test_label_map_of_colours_or_jpeg_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"c\.png: a label map is .* this is a PNG of mode RGB"):
        read_label_map(saved(tmp_path / "c.png", Image.new("RGB", (2, 2))))
    with pytest.raises(InputError, match=r"j\.jpg: a label map is .* this is a JPEG of mode L"):
        read_label_map(saved(tmp_path / "j.jpg", Image.new("L", (2, 2))))
