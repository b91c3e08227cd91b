from pathlib import Path

import pytest
import torch
from PIL import Image

from delineate.io.files import written_beside
from delineate.values import Categories, InputError
from delineate.viz import comparison_grid, legend, palette, write_picture
from delineate.viz.grid import to_tensor


def plain(color: tuple[int, int, int], height: int, width: int) -> torch.Tensor:
    return torch.tensor(color, dtype=torch.uint8)[:, None, None].expand(3, height, width).contiguous()


def count(image: torch.Tensor, color: list[int]) -> int:
    return int((image == torch.tensor(color)[:, None, None]).all(0).sum())


def test_every_picture_has_its_cell() -> None:
    red, green, blue = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    grid = comparison_grid(
        [[plain(red, 64, 64), plain(green, 64, 64)], [plain(blue, 32, 64), plain(red, 64, 32)]], ("a", "b")
    )
    assert count(grid, list(green)) == 256 * 256
    assert count(grid, list(blue)) == 128 * 256
    assert count(grid, list(red)) == 256 * 256 + 256 * 128
    assert grid.shape[2] == 2 * 256 + 3 * 10
    assert grid[:, 200, 100].tolist() == list(red)
    assert grid[:, 200, 400].tolist() == list(green)


def test_large_pictures_are_made_smaller() -> None:
    grid = comparison_grid([[plain((9, 9, 9), 1000, 2000)]], ("a",))
    assert grid.shape[2] == 480 + 20


def test_the_legend_names_every_class_and_what_is_ignored_where_something_is() -> None:
    names = tuple(f"class {index}" for index in range(20))
    categories = Categories(class_names=names, label_map_names=names)
    image = legend(categories, width=300, ignored=True)
    assert image.shape[2] == 300
    for color in [*palette(20).tolist(), [128, 128, 134]]:
        assert count(image, color) > 60
    assert count(legend(categories), [128, 128, 134]) == 0


def test_a_grid_ends_with_the_legend() -> None:
    picture, categories = plain((0, 0, 0), 64, 64), Categories(class_names=("disc",))
    without, with_legend = comparison_grid([[picture] * 3]), comparison_grid([[picture] * 3], categories=categories)
    below = legend(categories, width=without.shape[2])
    assert torch.equal(with_legend[:, without.shape[1] :], below)
    assert torch.equal(with_legend[:, : without.shape[1]], without)


def test_png_keeps_every_pixel_and_jpeg_nearly(tmp_path: Path) -> None:
    image = plain((10, 120, 240), 40, 30)
    write_picture(tmp_path / "new" / "a.png", image)
    write_picture(tmp_path / "new" / "a.JPG", image)
    with Image.open(tmp_path / "new" / "a.png") as png, Image.open(tmp_path / "new" / "a.JPG") as jpeg:
        assert (png.format, jpeg.format) == ("PNG", "JPEG")
        assert torch.equal(to_tensor(png), image)
        assert (to_tensor(jpeg).int() - image.int()).abs().max() <= 4
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["a.JPG", "a.png"]


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.gif: pictures are written as \.png, \.jpg, \.jpeg, not as \.gif"):
        write_picture(tmp_path / "a.gif", plain((0, 0, 0), 8, 8))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def write_half() -> None:
        with written_beside(tmp_path / "a") as beside:
            beside.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "old")]
