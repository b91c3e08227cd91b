"""A picture that is drawn with characters, as in the docstrings, becomes one of lines, for the site."""

import re
from html import escape

WIDTH, HEIGHT = 8, 20
UP, DOWN, LEFT, RIGHT = (0, -HEIGHT / 2), (0, HEIGHT / 2), (-WIDTH / 2, 0), (WIDTH / 2, 0)
STROKES = {
    "─": (LEFT, RIGHT),
    "│": (UP, DOWN),
    "┌": (DOWN, RIGHT),
    "┐": (LEFT, DOWN),
    "└": (UP, RIGHT),
    "┘": (LEFT, UP),
    "├": (UP, DOWN, RIGHT),
    "┤": (UP, DOWN, LEFT),
    "┬": (LEFT, RIGHT, DOWN),
    "┴": (LEFT, RIGHT, UP),
    "┼": (LEFT, RIGHT, UP, DOWN),
    "►": (),
    "◄": (),
}
WORDS = re.compile(rf"[^\s{''.join(STROKES)}]+(?: [^\s{''.join(STROKES)}]+)*")


def is_diagram(text: str) -> bool:
    """Tell whether a text is such a picture."""
    return any(sign in text for sign in "─►")


def diagram(text: str) -> str:
    """Draw the picture as SVG, in the colours of the page around it."""
    lines = text.rstrip().split("\n")
    width, height = WIDTH * max(map(len, lines)), HEIGHT * len(lines)
    parts = [part for row, line in enumerate(lines) for part in (*_strokes(row, line), *_words(row, line))]
    return (
        f'<svg class="diagram" role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<title>{escape(text)}</title>{''.join(parts)}</svg>"
    )


def _strokes(row: int, line: str) -> list[str]:
    parts = []
    for column, sign in enumerate(line):
        x, y = (column + 0.5) * WIDTH, (row + 0.5) * HEIGHT
        parts += [f'<path d="M{x} {y}l{dx} {dy}"/>' for dx, dy in STROKES.get(sign, ())]
        if sign in "►◄":
            way = 1 if sign == "►" else -1
            parts.append(f'<path class="head" d="M{x - 4 * way} {y - 4}l{8 * way} 4l{-8 * way} 4z"/>')
    return parts


def _words(row: int, line: str) -> list[str]:
    return [
        f'<text x="{words.start() * WIDTH}" y="{(row + 0.5) * HEIGHT}" textLength="{len(words[0]) * WIDTH}">'
        f"{escape(words[0])}</text>"
        for words in WORDS.finditer(line)
    ]
