"""An example is drawn as it is annotated: what it is about in dashes, also out of the picture, all else thinly.

What is about pixels has the label map beside the picture.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from delineate.data.formats.coco.segmentations import rasterise
from delineate.data.formats.polygons import rings
from delineate.data.images import MAX_PIXELS, read_image, read_label_map, read_stream
from delineate.doctor.checks.objects import ordered
from delineate.doctor.findings import Example
from delineate.doctor.looking import stream_of
from delineate.doctor.records import Box, Record, Thing
from delineate.values import IGNORE, InputError, listed
from delineate.viz.grid import to_pil, to_tensor
from delineate.viz.palette import IGNORED_COLOR, palette
from delineate.viz.scaling import LARGEST, READABLE
from delineate.viz.text import BLACK, RGB, WHITE, draw_text, font_size, line_width, text_size
from delineate.viz.verdicts import RIGHT, WRONG, draw_dashed_box

MARGIN = 3.0
"""The share of a picture by which what is drawn around it is limited."""
EMPTY: RGB = (96, 104, 114)
BESIDE = 4.0
"""Pixels around a keypoint out of the picture, so that its dot is whole."""
MOST_THINGS = 200
PAST = 256
"""Values of label maps from this on are white."""


def drawn(example: Example) -> list[tuple[str, UInt8[Tensor, "3 _h _w"]]]:
    """Draw the picture of an example, and the one it is compared with; nothing where it cannot be read.

    Where it is of no object in particular, the label map of the picture and the map of its objects follow.
    """
    views = []
    for record, things in ((example.record, example.things), (example.other, ())):
        if record is not None and not record.missing and (image := _read(record)) is not None:
            views.append((f"{record.split}/{record.file.name}", _marked(image, things, example.rows)))
    if example.record is not None and not example.rows and example.other is None:
        for file in (example.record.label_map, example.record.object_map):
            if file is not None:
                views += _in_colours(file)
    return views


def _in_colours(file: Path) -> list[tuple[str, Tensor]]:
    """Draw the values of a label map, 255 in gray, and say which they are; nothing where it cannot be read."""
    try:
        stored = read_label_map(file)
    except InputError:
        return []
    values = np.unique(stored.numpy()).tolist()
    colours = palette(PAST + 1).clone()
    colours[IGNORE], colours[PAST] = colours.new_tensor(IGNORED_COLOR), colours.new_tensor(WHITE)
    image = to_pil(colours[stored.clamp(max=PAST)].permute(2, 0, 1))
    scale = _scale(max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    title = f"{file.parent.name}/{file.name}, {image.width} x {image.height}, with the values {listed(values, 12)}"
    return [(title, to_tensor(image.resize(size, Image.Resampling.NEAREST)))]


def _read(record: Record) -> Image.Image | None:
    try:
        stream = stream_of(record)
        return to_pil(read_image(record.file) if stream is None else read_stream(stream, str(record.file)))
    except InputError:
        return None


def _marked(image: Image.Image, things: Sequence[Thing], rows: Sequence[int]) -> Tensor:
    """Draw the objects, those of `rows` last; the canvas is as large as they ask for."""
    marked = [thing for thing in things if thing.row in rows]
    left, top, right, bottom = _canvas(image, marked)
    scale = _scale(max(right - left, bottom - top))
    canvas = Image.new("RGB", (round((right - left) * scale), round((bottom - top) * scale)), EMPTY)
    picture = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    canvas.paste(picture, (round(-left * scale), round(-top * scale)))
    draw = ImageDraw.Draw(canvas)
    width = max(2, line_width((canvas.height, canvas.width)))
    for thing in [thing for thing in things if thing.row not in rows][:MOST_THINGS]:
        _draw(draw, thing, (left, top), scale, RIGHT, 1)
    for thing in marked:
        _draw(draw, thing, (left, top), scale, WRONG, width)
        _name(draw, thing, (left, top), scale, (canvas.height, canvas.width))
    return to_tensor(canvas)


def _canvas(image: Image.Image, marked: Sequence[Thing]) -> Box:
    """Choose what is shown: the picture, and as far as `MARGIN` around it where objects and keypoints are."""
    width, height = image.size
    boxes = [ordered(thing.box) for thing in marked if thing.box is not None]
    boxes += [
        (x - BESIDE, y - BESIDE, x + BESIDE, y + BESIDE)
        for x, y in _seen_keypoints(marked)
        if not (0 <= x <= width and 0 <= y <= height)
    ]
    far_x, far_y = MARGIN * width, MARGIN * height
    left = max(min([0.0, *(box[0] for box in boxes)]), -far_x)
    top = max(min([0.0, *(box[1] for box in boxes)]), -far_y)
    right = min(max([width, *(box[2] for box in boxes)]), width + far_x)
    bottom = min(max([height, *(box[3] for box in boxes)]), height + far_y)
    return left, top, right, bottom


def _seen_keypoints(things: Sequence[Thing]) -> list[tuple[float, float]]:
    return [(x, y) for thing in things for x, y, seen in thing.keypoints if seen]


def _scale(longer: float) -> float:
    return LARGEST / longer if longer > LARGEST else float(-(-READABLE // round(longer)))


def _draw(
    draw: ImageDraw.ImageDraw, thing: Thing, corner: tuple[float, float], scale: float, color: RGB, width: int
) -> None:
    """Draw the box, the polygons or the border of the mask, and the keypoints of an object."""
    if thing.box is not None:
        x1, y1, x2, y2 = _moved(ordered(thing.box), corner, scale)
        box = (round(x1), round(y1), round(max(x2 - 1, x1 + 1)), round(max(y2 - 1, y1 + 1)))
        if color == WRONG:
            draw_dashed_box(draw, box, color, width)
        else:
            draw.rectangle(box, outline=color, width=width)
    for polygon in thing.shape if isinstance(thing.shape, list) else _border(thing.shape):
        points = _moved(polygon, corner, scale)
        if len(points) >= 4:
            draw.line([*points, *points[:2]], fill=color, width=width)
    radius = 2 * width
    for x, y, seen in thing.keypoints:
        if seen:
            px, py = _moved((x, y), corner, scale)
            draw.ellipse((px - radius, py - radius, px + radius, py + radius), fill=color, outline=BLACK)


def _border(shape: Any) -> list[list[float]]:
    """Find the border of the mask of a run-length encoding, of the size that it says; none where it is broken."""
    with suppress(InputError, IndexError, KeyError, TypeError):
        height, width = shape["size"]
        if height * width <= MAX_PIXELS:
            (mask,) = rasterise([shape], (height, width), str)
            return [ring.flatten().tolist() for ring in rings(mask)]
    return []


def _name(
    draw: ImageDraw.ImageDraw, thing: Thing, corner: tuple[float, float], scale: float, size: tuple[int, int]
) -> None:
    """Write the name of an object above its box, or in it."""
    if thing.box is None or not thing.name:
        return
    letters = font_size(size)
    x1, y1, _, _ = _moved(ordered(thing.box), corner, scale)
    width, height = text_size(thing.name, letters)
    x = min(max(round(x1), 0), max(size[1] - width - 4, 0))
    y = round(y1) - height if y1 >= height else min(max(round(y1), 0), max(size[0] - height, 0))
    draw.rectangle((x, y, x + width + 4, y + height), fill=WRONG)
    draw_text(draw, (x + 2, y), thing.name, letters, WHITE)


def _moved(values: Sequence[float], corner: tuple[float, float], scale: float) -> tuple[float, ...]:
    return tuple((value - corner[place % 2]) * scale for place, value in enumerate(values))
