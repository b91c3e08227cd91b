"""Pictures are put beside each other, and written to files."""

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from delineate.io.files import written_beside
from delineate.values import Categories, InputError
from delineate.viz.palette import IGNORED_COLOR, palette
from delineate.viz.scripts import legible
from delineate.viz.text import BLACK, WHITE, draw_text, text_size

SMALLEST_CELL, LARGEST_CELL = 256, 480
GAP, TEXT = 10, 16
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def comparison_grid(
    rows: Sequence[Sequence[UInt8[Tensor, "3 _h _w"]]],
    titles: Sequence[str] = ("picture", "truth", "prediction"),
    categories: Categories | None = None,
    *,
    ignored: bool = False,
) -> UInt8[Tensor, "3 height width"]:
    """Put one sample in a row, one kind of picture in a column, the columns' titles above and the legend below.

    Pictures may differ in size: each is fitted into a cell of 256 to 480 pixels. There is a legend where `categories`
    are given, which says what ignored pixels look like where some are `ignored`.
    """
    assert rows, "a grid has at least one row"
    assert all(len(row) == len(titles) for row in rows), "a row has one picture a title"
    cell = min(max(SMALLEST_CELL, *(max(image.shape[1:]) for row in rows for image in row)), LARGEST_CELL)
    fitted = [[_fit(image, cell) for image in row] for row in rows]
    widths = [max(image.width for image in column) for column in zip(*fitted, strict=True)]
    width = sum(widths) + GAP * (len(widths) + 1)
    below = None if categories is None else _draw_legend(categories, width, ignored)

    top = GAP + text_size("", TEXT)[1] + GAP // 2
    height = top + sum(max(image.height for image in row) + GAP for row in fitted) + (below.height if below else 0)
    canvas = Image.new("RGB", (width, height), WHITE)
    draw = ImageDraw.Draw(canvas)
    lefts = [GAP + sum(widths[:column]) + GAP * column for column in range(len(widths))]
    for left, title in zip(lefts, titles, strict=True):
        draw_text(draw, (left, GAP), title, TEXT, BLACK)
    for row in fitted:
        for left, space, image in zip(lefts, widths, row, strict=True):
            canvas.paste(image, (left + (space - image.width) // 2, top))
        top += max(image.height for image in row) + GAP
    if below:
        canvas.paste(below, (0, top))
    return to_tensor(canvas)


def legend(categories: Categories, width: int = 640, *, ignored: bool = False) -> UInt8[Tensor, "3 height {width}"]:
    """Draw the colours of the classes with their names, in columns on white, and that of ignored pixels."""
    return to_tensor(_draw_legend(categories, width, ignored))


def write_picture(path: Path, image: UInt8[Tensor, "3 h w"]) -> None:
    """Write a PNG or JPEG file, as the suffix says; folders are made as needed.

    Raises `InputError` for another suffix.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: pictures are written as {', '.join(FORMATS)}, not as {path.suffix or 'no suffix'}")
    with written_beside(path) as beside:
        to_pil(image).save(beside, FORMATS[path.suffix.lower()], quality=92, subsampling=0)


def to_pil(image: UInt8[Tensor, "3 h w"]) -> Image.Image:
    """Convert a picture for Pillow."""
    picture: Image.Image = transforms.to_pil_image(image)
    return picture


def to_tensor(picture: Image.Image) -> UInt8[Tensor, "3 h w"]:
    """Convert a picture of Pillow's."""
    image: Tensor = transforms.pil_to_tensor(picture)
    return image


def _fit(image: UInt8[Tensor, "3 h w"], cell: int) -> Image.Image:
    """Make the picture's longer side `cell` pixels long; pixels of tiny pictures stay square."""
    picture = to_pil(image)
    scale = cell / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)


def _draw_legend(categories: Categories, width: int, ignored: bool) -> Image.Image:
    names = [*legible(categories.class_names), *["ignored"] * ignored]
    colors = [*palette(categories.num_classes).tolist(), list(IGNORED_COLOR)]
    line = text_size("", TEXT)[1]
    column = max(text_size(name, TEXT)[0] for name in names) + line + 2 * GAP
    num_columns = max(1, min(len(names), (width - GAP) // column))
    num_lines = -(-len(names) // num_columns)
    canvas = Image.new("RGB", (width, num_lines * (line + GAP // 2) + GAP), WHITE)
    draw = ImageDraw.Draw(canvas)
    for index, (name, color) in enumerate(zip(names, colors, strict=False)):
        x, y = GAP + index % num_columns * column, GAP // 2 + index // num_columns * (line + GAP // 2)
        draw.rounded_rectangle((x, y + 2, x + line - 4, y + line - 2), radius=4, fill=tuple(color))
        draw_text(draw, (x + line + 2, y), name, TEXT, BLACK)
    return canvas
