"""Names in every script are drawn by a font that has their letters, or in words that can be read.

Matplotlib brings DejaVu Sans: Latin, Greek, Cyrillic, Arabic, Hebrew and some more. For others, the fonts that are
installed on the machine are looked through; no font comes with delineate.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from delineate.values import listed

DEJAVU = str(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))


@lru_cache(maxsize=4096)
def font_file(text: str) -> str | None:
    """Find a font with all letters of the text: DejaVu Sans or an installed one; `None` where there is none."""
    letters = frozenset(letter for letter in text if not letter.isspace())
    if _has(DEJAVU, letters):
        return DEJAVU
    return next((path for path in _installed() if _has(path, letters)), None)


def families(names: Iterable[str]) -> list[str]:
    """Name the font families that Matplotlib needs for the names, DejaVu Sans first."""
    files = dict.fromkeys([DEJAVU, *(file for name in names if (file := font_file(name)))])
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for file in files:
        if file not in known and file != DEJAVU:
            font_manager.fontManager.addfont(file)
    return [FT2Font(file).family_name for file in files]


def legible(names: Sequence[str]) -> tuple[str, ...]:
    """Write the names with letters that some font has: symbols by their Unicode names, others as `class 3`."""
    return tuple(_legible(name) or f"class {number}" for number, name in enumerate(names))


def illegible(names: Sequence[str]) -> list[str]:
    """Say in a line which names no font can write, and what pictures call them."""
    others = [f"{name!r} is {shown!r}" for name, shown in zip(names, legible(names), strict=True) if name != shown]
    if not others:
        return []
    return [f"pictures: no installed font has the letters of some names, {listed(others)}; a font such as Noto helps"]


@lru_cache(maxsize=4096)
def _legible(name: str) -> str:
    """Write a name with letters that some font has; empty where that says nothing."""
    if font_file(name):
        return name
    words = "".join(_in_words(letter) for letter in unicodedata.normalize("NFKC", name))
    words = " ".join(words.split())
    return words if words and font_file(words) else ""


def _in_words(letter: str) -> str:
    """Name a symbol that has no glyph, such as an emoji; what joins or colours symbols is dropped."""
    category = unicodedata.category(letter)
    if category == "Cf" or (category == "Mn" and not font_file(letter)):
        return ""
    if category in ("So", "Sk", "Sm") and not font_file(letter):
        return f" {unicodedata.name(letter, '').lower()} "
    return letter


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    """Find the machine's fonts, plain sans serifs first: they are the easiest to read when small."""
    paths = [path for path in font_manager.findSystemFonts() if "lastresort" not in path.lower()]
    return tuple(sorted(paths, key=lambda path: (*_far_from_plain(Path(path).stem.lower()), path)))


def _far_from_plain(stem: str) -> tuple[bool, bool]:
    odd = any(word in stem for word in ("bold", "italic", "oblique", "black", "light", "thin", "mono", "condensed"))
    return odd, "sans" not in stem and "hei" not in stem and "gothic" not in stem


@lru_cache(maxsize=4096)
def _has(path: str, letters: frozenset[str]) -> bool:
    """Tell whether an outline font has all letters; broken files have none."""
    with suppress(RuntimeError, OSError, ValueError):
        font = _opened(path)
        return font.scalable and all(font.get_char_index(ord(letter)) for letter in letters)
    return False


@lru_cache(maxsize=64)
def _opened(path: str) -> FT2Font:
    return FT2Font(path)
