"""The query of a request says what is asked of pictures; each mistake in it is one line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from delineate.deploy.tiling import check_tiled
from delineate.deploy.writing import Format, check_format
from delineate.serve.models import Loaded
from delineate.values import InputError

OVERLAP = 64
"""Pixels by which neighbouring tiles overlap, as `delineate predict` has them."""
SMALLEST_TILE = 128
"""Smaller tiles would make ten thousands of a picture."""
Answer = Literal["json"] | Format
FORMATS: tuple[str, ...] = ("json", *get_args(Format))
NAMES = ("min_score", "tile", "format", "overlay", "label_map")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Objects from `min_score` on, found in tiles of `(height, width)`, in a format, or drawn on their picture.

    With `label_map`, label maps stand in the answer as PNGs.
    """

    min_score: float | None = None
    tile: tuple[int, int] | None = None
    layout: Answer = "json"
    overlay: bool = False
    label_map: bool = False


def read_options(query: Sequence[tuple[str, str]], loaded: Loaded) -> Options:
    """Read the pairs of a query; raises `InputError` for what is unknown, wrong, or nothing for this model."""
    names = [name for name, _ in query]
    if unknown := [name for name in names if name not in NAMES]:
        raise InputError(f"{unknown[0][:40]!r}: there is no such option; there are {', '.join(NAMES)}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{twice[0]}: it is given twice; give it once")
    given = dict(query)
    options = Options(
        min_score=_score(given.get("min_score")),
        tile=_tile(given.get("tile")),
        layout=_layout(given.get("format", "json")),
        overlay=_flag("overlay", given.get("overlay", "0")),
        label_map=_flag("label_map", given.get("label_map", "0")),
    )
    _check(options, loaded)
    return options


def _check(options: Options, loaded: Loaded) -> None:
    """Raise `InputError` for what this model does not have."""
    task = loaded.system.task
    if options.layout != "json":
        check_format(options.layout, task)
        if options.overlay or options.label_map:
            raise InputError("format: with overlay or label_map there is one answer already; leave one of them out")
    if options.label_map and (options.overlay or "label_map" not in task.needs):
        reason = "overlay is a picture" if options.overlay else f"this model finds {task.finds}"
        raise InputError(f"label_map: {reason}; leave it out")
    if options.tile is not None:
        check_tiled(loaded.system, options.tile, OVERLAP)
    loaded.chosen(options.min_score)


def _score(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise InputError("min_score: it is a number from 0 to 1")
    return score


def _tile(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = text.split(",")
    if len(sides) > 2 or not all(side.isascii() and side.isdecimal() and len(side) < 7 for side in sides):
        raise InputError("tile: it is a side in pixels, or height,width, such as 512 or 512,768")
    height, width = int(sides[0]), int(sides[-1])
    if min(height, width) < SMALLEST_TILE:
        raise InputError(f"tile: a side has {SMALLEST_TILE} pixels or more")
    return height, width


def _layout(text: str) -> Answer:
    if text not in FORMATS:
        raise InputError(f"format: it is one of {', '.join(FORMATS)}")
    return text  # type: ignore[return-value]  # it is one of them


def _flag(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise InputError(f"{name}: it is 0 or 1")
    return text == "1"
