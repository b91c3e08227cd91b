"""Letters and lines have sizes that suit the picture."""

from functools import lru_cache
from math import hypot

from PIL import ImageDraw, ImageFont

from delineate.viz.scripts import DEJAVU, font_file

RGB = tuple[int, int, int]
WHITE: RGB = (255, 255, 255)
BLACK: RGB = (17, 20, 24)


def line_width(image_size: tuple[int, int]) -> int:
    """Choose the pixels of a line in a picture of `(height, width)`: 1 or 2 for common ones, 12 for 4000 x 3000."""
    return max(1, round(hypot(*image_size) / 400))


def font_size(image_size: tuple[int, int]) -> int:
    """Choose the pixels of letters in a picture of `(height, width)`: never below 9, the smallest one can read."""
    return max(9, round(hypot(*image_size) / 58))


def draw_text(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, color: RGB) -> None:
    """Write one line whose upper left corner is at `place`, by a font that has its letters."""
    ascent, _ = _font(DEJAVU, size).getmetrics()
    draw.text((place[0], place[1] + ascent), text, fill=color, font=_font(font_file(text) or DEJAVU, size), anchor="ls")


def text_size(text: str, size: int) -> tuple[int, int]:
    """Measure the `(width, height)` of one line, the height being the same for every text."""
    ascent, descent = _font(DEJAVU, size).getmetrics()
    return round(_font(font_file(text) or DEJAVU, size).getlength(text)), ascent + descent


@lru_cache(maxsize=64)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def readable_on(color: RGB) -> RGB:
    """Choose black or white, whichever has more contrast with `color`."""
    red, green, blue = color
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 125 else WHITE
