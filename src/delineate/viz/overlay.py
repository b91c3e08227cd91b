"""Label maps and objects are drawn on their picture."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import ImageDraw
from torch import Tensor
from torch.nn import functional as F

from delineate.ops.masks import decode_rle
from delineate.values import IGNORE, Categories, Content, Detections, InputError, LabelMap, Target
from delineate.viz.grid import to_pil, to_tensor
from delineate.viz.objects import draw_boxes, draw_names, draw_skeletons, object_line_width
from delineate.viz.palette import palette
from delineate.viz.text import line_width

NOTHING, HATCHED = -1, -2
LUMA = (0.299, 0.587, 0.114)
"""How light red, green and blue are, which sum to white."""


def draw_label_map(
    image: UInt8[Tensor, "3 h w"], label_map: Int64[Tensor, "_h _w"], categories: Categories, alpha: float = 0.65
) -> UInt8[Tensor, "3 h w"]:
    """Tint the picture by the class of each pixel, with the borders between classes.

    Background is left as it is; what is tinted is gray below, so that a tint has the hue of its class; ignored pixels
    are hatched gray. `alpha` is the share of the tint, 0..1.

    Raises `InputError` where picture and label map differ in size.
    """
    _check_size(image, label_map.shape, "label_map")
    regions = label_map.where(label_map < categories.num_classes, NOTHING).where(label_map != IGNORE, HATCHED)
    width = line_width((image.shape[1], image.shape[2]))
    return _paint(image, regions, palette(categories.num_classes), alpha, width)


def draw_target(
    image: UInt8[Tensor, "3 h w"],
    target: Target | Detections | LabelMap,
    categories: Categories,
    alpha: float = 0.55,
) -> UInt8[Tensor, "3 h w"]:
    """Draw what is known or predicted of a picture on it: masks, boxes, names with scores, skeletons.

    A label map is drawn where there are no masks. Crowds are hatched gray. Names that would hide each other or are
    larger than their object are left out. `alpha` is the share of the masks' tint, 0..1.

    Raises `InputError` where the sizes differ, or a label or a keypoint has no name in `categories`.
    """
    _check_size(image, target.image_size, "target")
    if isinstance(target, LabelMap):
        return draw_label_map(image, target.label_map, categories, alpha)
    if len(target) and int(target.labels.max()) >= categories.num_classes:
        raise InputError(f"labels: {int(target.labels.max())} has no name; class_names has {categories.num_classes}")
    if target.keypoints is not None and target.keypoints.shape[1] != len(categories.keypoint_names):
        raise InputError(
            f"keypoints: {target.keypoints.shape[1]} a row; keypoint_names has {len(categories.keypoint_names)}"
        )
    masks: Iterable[Tensor] | None
    if isinstance(target, Detections):
        rles, size = target.rles, target.image_size
        masks = None if rles is None else (decode_rle([rle], size)[0] for rle in rles)
    else:
        masks = target.masks
    if masks is not None:
        colors = palette(categories.num_classes)[target.labels]
        image = _paint(image, _regions(target, masks), colors, alpha, object_line_width(target))
    elif isinstance(target, Target) and target.label_map is not None:
        image = draw_label_map(image, target.label_map, categories, alpha)
    if len(target) == 0:
        return image
    canvas = to_pil(image)
    draw = ImageDraw.Draw(canvas)
    draw_boxes(draw, target)
    canvas = draw_skeletons(canvas, target, categories)
    draw_names(ImageDraw.Draw(canvas), target, categories)
    return to_tensor(canvas)


def has_ignored(target: Target, needs: frozenset[Content]) -> bool:
    """Say whether something is hatched where this is drawn of a target: ignored pixels, or the masks of crowds."""
    if "label_map" in needs:
        return target.label_map is not None and bool((target.label_map == IGNORE).any())
    return "masks" in needs and bool(target.crowd.any())


def _check_size(image: Tensor, size: tuple[int, ...], field: str) -> None:
    if image.shape[1:] != size:
        raise InputError(f"{field}: (height, width) is {tuple(size)}, the picture's is {tuple(image.shape[1:])}")


def _regions(target: Target | Detections, masks: Iterable[Bool[Tensor, "h w"]]) -> Int64[Tensor, "h w"]:
    """Find the object that each pixel belongs to, small objects on top of large ones.

    Masks are taken one by one: those of a large picture would not fit into memory together.
    """
    regions = torch.full(target.image_size, NOTHING)
    areas = torch.full(target.image_size, torch.iinfo(torch.int64).max)
    crowd = target.crowd if isinstance(target, Target) else torch.zeros(len(target), dtype=torch.bool)
    for row, mask in enumerate(masks):
        area = int(mask.sum())
        on_top = mask & (area < areas)
        regions[on_top] = HATCHED if crowd[row] else row
        areas[on_top] = area
    return regions


def _paint(
    image: UInt8[Tensor, "3 h w"], regions: Int64[Tensor, "h w"], colors: UInt8[Tensor, "n 3"], alpha: float, width: int
) -> UInt8[Tensor, "3 h w"]:
    """Tint region `i` with `colors[i]`, draw its border `width` pixels wide, and hatch what is `HATCHED`.

    Of the picture below a tint the lightness stays: its own colours would mix with that of the class.
    """
    rows, columns = torch.arange(regions.shape[0])[:, None], torch.arange(regions.shape[1])
    hatches = (rows + columns) // (4 * width) % 2
    table = torch.cat([colors, torch.tensor([[70, 70, 74], [150, 150, 156]], dtype=torch.uint8)])
    index = regions.where(regions != HATCHED, len(colors) + hatches).clamp(min=0)
    tint = table[index].permute(2, 0, 1).float()
    weight = torch.full(regions.shape, alpha)
    weight[regions == HATCHED] = max(alpha, 0.6)
    weight[_borders(regions, width) & (regions >= 0)] = 1.0
    weight[regions == NOTHING] = 0.0
    picture = image.float()
    lightness = (picture * torch.tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
    below = picture.where(regions == NOTHING, lightness)
    return below.lerp(tint, weight).round().to(torch.uint8)


def _borders(regions: Int64[Tensor, "h w"], size: int) -> Tensor:
    """Find the pixels whose neighbourhood of `size + 1` pixels has more than one region."""

    def highest(values: Float[Tensor, "1 h w"]) -> Float[Tensor, "1 h w"]:
        padded = F.pad(values, (size // 2, size - size // 2, size // 2, size - size // 2), mode="replicate")
        return F.max_pool2d(F.max_pool2d(padded, (1, size + 1), stride=1), (size + 1, 1), stride=1)

    values = regions[None].float()
    return (highest(values) != -highest(-values))[0]
