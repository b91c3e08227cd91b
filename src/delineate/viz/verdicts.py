"""What was found is drawn as right or wrong, and what was not found as missed."""

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Bool, UInt8
from PIL import ImageDraw
from torch import Tensor

from delineate.values import Categories, Detections, Target
from delineate.viz.grid import to_pil, to_tensor
from delineate.viz.objects import corners, labels_of, object_line_width, write_labels
from delineate.viz.palette import hex_color
from delineate.viz.scaling import LARGEST, READABLE, fitted
from delineate.viz.text import BLACK, RGB

RIGHT: RGB = (0, 158, 115)
WRONG: RGB = (213, 94, 0)
MISSED: RGB = (240, 228, 66)
DASHES: dict[RGB, tuple[int, int]] = {RIGHT: (1, 0), WRONG: (6, 4), MISSED: (2, 2)}
"""Widths of a line that are drawn, and that are not: colours are not all that tells them apart."""
VERDICTS = {
    "right": (hex_color(RIGHT), "solid"),
    "wrong": (hex_color(WRONG), "dashed"),
    "missed": (hex_color(MISSED), "dotted"),
}
"""They are told apart in a page by colours, and styles of borders."""


def draw_verdicts(
    image: UInt8[Tensor, "3 h w"],
    detections: Detections,
    target: Target,
    categories: Categories,
    *,
    right: Bool[Tensor, " n"],
    wrong: Bool[Tensor, " n"],
    missed: Bool[Tensor, " t"],
) -> UInt8[Tensor, "3 _h _w"]:
    """Draw the boxes of detections that are right or wrong, and those of missed objects, with their names.

    Right ones have whole lines, wrong ones dashes, missed ones dots. Small pictures are enlarged, large ones reduced.
    """
    plain = replace(detections, rles=None, keypoints=None, visibility=None)
    shown, found = fitted(image, plain, smallest=READABLE, largest=LARGEST)
    _, known = fitted(image, replace(target, masks=None, label_map=None), smallest=READABLE, largest=LARGEST)
    canvas = to_pil(shown)
    draw = ImageDraw.Draw(canvas)
    width = max(2, object_line_width(known), object_line_width(found))
    parts: list[tuple[Target | Detections, RGB]] = [
        (known[missed], MISSED),
        (_picked(found, wrong), WRONG),
        (_picked(found, right), RIGHT),
    ]
    for objects, color in reversed(parts):
        for box in objects.boxes.tolist():
            draw_dashed_box(draw, corners(box), color, width)
    labels = [label for objects, color in parts for label in labels_of(objects, categories, [color] * len(objects))]
    write_labels(draw, labels, found.image_size)
    return to_tensor(canvas)


def _picked(found: Detections, rows: Bool[Tensor, " n"]) -> Detections:
    return replace(found, boxes=found.boxes[rows], labels=found.labels[rows], scores=found.scores[rows])


def draw_dashed_box(draw: ImageDraw.ImageDraw, box: Sequence[int], color: RGB, width: int) -> None:
    """Draw a box in dashes on black."""
    x1, y1, x2, y2 = box
    drawn, left_out = (width * count for count in DASHES[color])
    draw.rectangle((x1, y1, x2, y2), outline=BLACK if left_out else color, width=width)
    if not left_out:
        return
    for left, top, right, bottom in (
        (x1, y1, x2, y1 + width - 1),
        (x1, y2 - width + 1, x2, y2),
        (x1, y1, x1 + width - 1, y2),
        (x2 - width + 1, y1, x2, y2),
    ):
        along_x = right - left > bottom - top
        start, end = (left, right) if along_x else (top, bottom)
        for place in range(start, end + 1, drawn + left_out):
            last = min(place + drawn - 1, end)
            dash = (place, top, last, bottom) if along_x else (left, place, right, last)
            draw.rectangle(dash, fill=color)
