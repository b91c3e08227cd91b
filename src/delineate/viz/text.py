"""Letters and lines have sizes that suit the picture."""

from functools import lru_cache
from math import hypot
from pathlib import Path

import matplotlib
from PIL import ImageFont

RGB = tuple[int, int, int]
WHITE: RGB = (255, 255, 255)
BLACK: RGB = (17, 20, 24)


def line_width(image_size: tuple[int, int]) -> int:
    """Choose the pixels of a line in a picture of `(height, width)`: 1 or 2 for common ones, 12 for 4000 x 3000."""
    return max(1, round(hypot(*image_size) / 400))


def font_size(image_size: tuple[int, int]) -> int:
    """Choose the pixels of letters in a picture of `(height, width)`: never below 9, the smallest one can read."""
    return max(9, round(hypot(*image_size) / 58))


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Load Matplotlib's DejaVu Sans: Pillow's own font has no letters beyond English."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def text_size(text: str, size: int) -> tuple[int, int]:
    """Measure the `(width, height)` of one line, the height being the same for every text."""
    ascent, descent = font(size).getmetrics()
    return round(font(size).getlength(text)), ascent + descent


def readable_on(color: RGB) -> RGB:
    """Choose black or white, whichever has more contrast with `color`."""
    red, green, blue = color
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 125 else WHITE
