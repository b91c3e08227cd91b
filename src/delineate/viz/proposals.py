"""Boxes that may hold an object are drawn such that many can be told apart."""

import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.ops import box_iou

from delineate.values import Target
from delineate.viz.grid import to_pil, to_tensor
from delineate.viz.objects import corners
from delineate.viz.scaling import READABLE, fitted
from delineate.viz.text import BLACK, RGB, WHITE, line_width

MOST = 100
LARGEST = 2048
COVERED: RGB = (0, 200, 140)
MISSED: RGB = (255, 120, 20)


def draw_proposals(
    image: UInt8[Tensor, "3 h w"], boxes: Float[Tensor, "p 4"], target: Target | None = None
) -> UInt8[Tensor, "3 h2 w2"]:
    """Darken the picture and draw the likeliest 100 boxes in white, the likelier the brighter.

    With a target, of each object the box that covers it best, of all there are, is green where its IoU is 0.5 or more;
    an object that none covers so is orange. Small pictures are enlarged, very large ones reduced.
    """
    size = (image.shape[-2], image.shape[-1])
    proposals = Target(image_size=size, boxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.int64))
    larger, proposals = fitted(image, proposals, smallest=READABLE, largest=LARGEST)
    width = max(1, line_width(proposals.image_size) // 2)  # a hundred boxes leave little to see between thicker lines
    canvas = to_pil(larger)
    canvas = Image.blend(canvas, Image.new("RGB", canvas.size, BLACK), 0.4)
    light = Image.new("L", canvas.size)
    draw = ImageDraw.Draw(light)
    shown = proposals.boxes[:MOST].tolist()
    for rank, box in reversed(list(enumerate(shown))):
        draw.rectangle(corners(box), outline=round(230 - 190 * rank / len(shown)), width=width)
    canvas.paste(WHITE, mask=light)
    if target is not None:
        _, known = fitted(image, target, smallest=READABLE, largest=LARGEST)
        draw = ImageDraw.Draw(canvas)
        for box, color in _covers(proposals.boxes, known):
            draw.rectangle(corners(box), outline=color, width=2 * width)
    return to_tensor(canvas)


def _covers(boxes: Float[Tensor, "p 4"], target: Target) -> list[tuple[list[float], RGB]]:
    """Find for each object that counts the box that covers it, or its own where there is none."""
    objects = target.boxes[~target.ignored]
    # the object itself comes last, at an overlap that any box which covers it surpasses
    overlap = torch.cat([box_iou(boxes, objects), torch.full((1, len(objects)), 0.5 - 1e-6)])
    rows = overlap.argmax(0)
    best = torch.where((rows < len(boxes))[:, None], torch.cat([boxes, boxes.new_zeros(1, 4)])[rows], objects)
    return [
        (box, COVERED if row < len(boxes) else MISSED) for box, row in zip(best.tolist(), rows.tolist(), strict=True)
    ]
