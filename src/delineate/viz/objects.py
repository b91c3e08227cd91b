"""Boxes, skeletons and names are drawn in order of importance."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from delineate.values import Categories, Detections, Target
from delineate.viz.palette import palette
from delineate.viz.scripts import legible
from delineate.viz.text import BLACK, RGB, WHITE, draw_text, font_size, line_width, readable_on, text_size

Rectangle = tuple[int, int, int, int]
SMALLER = 0.65
"""Where letters find no place they may be smaller by this factor."""


class Label(NamedTuple):
    """A label is written at a box, in the first of the `texts` that finds a place, on a colour."""

    box: Rectangle
    texts: Sequence[str]
    color: RGB


def object_line_width(target: Target | Detections) -> int:
    """Choose the pixels of a line around objects: as the picture has them, or less where most objects are small."""
    width = line_width(target.image_size)
    if len(target) == 0:
        return width
    sides = (target.boxes[:, 2:] - target.boxes[:, :2]).amin(1)
    return max(1, min(width, round(sides.median().item() / 12)))


def draw_boxes(draw: ImageDraw.ImageDraw, target: Target | Detections) -> None:
    """Draw boxes in the colours of their classes, the first row on top."""
    width = object_line_width(target)
    colors = palette(int(target.labels.max()) + 1)
    for box, label in reversed(list(zip(target.boxes.tolist(), target.labels.tolist(), strict=True))):
        draw.rectangle(corners(box), outline=_rgb(colors[label].tolist()), width=width)


def corners(box: list[float]) -> Rectangle:
    """Find the first and the last pixel of a box."""
    x1, y1, x2, y2 = (round(value) for value in box)
    return x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)


def draw_names(draw: ImageDraw.ImageDraw, target: Target | Detections, categories: Categories) -> None:
    """Write names and scores above or in their box, where they hide no other name and are no larger than the object."""
    colors = [_rgb(color) for color in palette(categories.num_classes)[target.labels].tolist()]
    labels = labels_of(target, categories, colors)
    write_labels(draw, [labels[row] for row in _most_important_first(target)], target.image_size)


def labels_of(target: Target | Detections, categories: Categories, colors: Sequence[RGB]) -> list[Label]:
    """Name each object, in full and, for where there is less space, in short."""
    names, labels = legible(categories.class_names), []
    for row, (box, color) in enumerate(zip(target.boxes.tolist(), colors, strict=True)):
        x1, y1, x2, y2 = (round(value) for value in box)
        labels.append(Label((x1, y1, x2, y2), _texts(target, row, names[int(target.labels[row])]), color))
    return labels


def write_labels(draw: ImageDraw.ImageDraw, labels: Iterable[Label], image_size: tuple[int, int]) -> None:
    """Write labels, the first ones first, where they find a place; rather in smaller letters than without a score."""
    large = font_size(image_size)
    sizes = (large, max(font_size((1, 1)), round(SMALLER * large)))
    taken: list[Rectangle] = []
    for label in labels:
        for text, size in ((text, size) for text in label.texts for size in sizes):
            place = _place(label.box, text_size(text, size), image_size, taken)
            if place is not None:
                draw.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=label.color)
                draw_text(draw, (place[0] + size // 4, place[1]), text, size, readable_on(label.color))
                taken.append(place)
                break


def draw_skeletons(canvas: Image.Image, target: Target | Detections, categories: Categories) -> Image.Image:
    """Draw limbs and joints; the left side is orange, the right side blue, hidden joints are hollow."""
    if target.keypoints is None or target.visibility is None:
        return canvas
    scale = 2 if max(canvas.size) < 2048 else 1  # drawn in double size and halved, lines are smooth
    large = canvas.resize((canvas.width * scale, canvas.height * scale), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(large)
    width = object_line_width(target) * scale
    colors = [_side_color(name) for name in categories.keypoint_names]
    for points, visibility in zip((target.keypoints * scale).tolist(), target.visibility.tolist(), strict=True):
        limbs = [edge for edge in categories.skeleton if visibility[edge[0]] and visibility[edge[1]]]
        for thickness, dark in ((2 * width + scale, True), (width + scale, False)):
            for start, end in limbs:
                color = colors[start] if colors[start] == colors[end] else WHITE
                draw.line((*points[start], *points[end]), fill=BLACK if dark else color, width=thickness)
        for (x, y), seen, color in zip(points, visibility, colors, strict=True):
            if seen:
                fill = color if seen == 2 else BLACK
                draw.circle((x, y), 1.6 * width + scale, fill=fill, outline=BLACK if seen == 2 else color, width=width)
    return large.reduce(scale)


def _place(
    box: Rectangle, text: tuple[int, int], image_size: tuple[int, int], taken: list[Rectangle]
) -> Rectangle | None:
    """Find a place for a text of `(width, height)`: above the box, in its top or its bottom, below it; or nowhere."""
    x1, y1, x2, y2 = box
    width, height = text[0] + text[1] // 2, text[1]
    if width * height > (x2 - x1) * (y2 - y1) or width > image_size[1]:
        return None
    left = max(0, min(x1, image_size[1] - width))
    for top in (y1 - height, y1, y2 - height, y2):
        place = (left, top, left + width, top + height)
        if 0 <= top <= image_size[0] - height and not any(_overlap(place, other) for other in taken):
            return place
    return None


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _most_important_first(target: Target | Detections) -> list[int]:
    if isinstance(target, Detections):
        return list(range(len(target)))
    sizes = target.boxes[:, 2:] - target.boxes[:, :2]
    rows: list[int] = sizes.prod(1).argsort(descending=True).tolist()
    return rows


def _texts(target: Target | Detections, row: int, name: str) -> tuple[str, str]:
    if isinstance(target, Detections):
        if target.tracks is not None and target.tracks[row] >= 0:
            name = f"{name} #{int(target.tracks[row])}"
        return f"{name} {float(target.scores[row]):.2f}", name
    flags = ["crowd"] * bool(target.crowd[row]) + ["difficult"] * bool(target.difficult[row])
    return f"{name} ({', '.join(flags)})" if flags else name, name


def _side_color(keypoint_name: str) -> RGB:
    name = keypoint_name.lower()
    if "left" in name or name.startswith("l_"):
        return 230, 159, 0
    if "right" in name or name.startswith("r_"):
        return 30, 136, 229
    return WHITE


def _rgb(color: list[int]) -> RGB:
    red, green, blue = color
    return red, green, blue
