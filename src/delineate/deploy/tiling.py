"""Pictures larger than memory, or than anything trained on, are cut into overlapping tiles.

Objects of tiles are joined (`joining`); of dense systems, the scores are blended.

rows of tiles, top to bottom; tiles of a row left to right

┌──────┬─┬──────┐   scores (C, tile height, W) hold one row of tiles. Before the next row is added,
│      │ │      │   the rows above it are finished: their best class is taken, and the rest moves up.
├──────┼─┼──────┤   Where tiles overlap their weights taper linearly. A pixel's weights need not sum
├──────┼─┼──────┤   to one: its best class is the same whatever their sum.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from delineate.data.cutting import starts, windows
from delineate.data.regions import InMemory, Regions, shrunk
from delineate.deploy.joining import View, join
from delineate.models.contract import Scores
from delineate.system.system import System
from delineate.values import Detections, InputError, LabelMap, Prediction, on_cpu

NEAR = 2.0
"""What comes as near to a tile's border, in pixels, is cut by it."""


def find_tiled(
    system: System, picture: Regions, *, tile: tuple[int, int], overlap: int, batch_size: int = 1
) -> Prediction:
    """Find what is in a picture from tiles of `(height, width)` that overlap by at least `overlap` pixels.

    Where one tile holds all, the result is that without tiles. Raises `InputError` for a system that finds one thing in
    a picture, and when the overlap is not smaller than the tile.
    """
    check_tiled(system, tile, overlap)
    if picture.size[0] <= tile[0] and picture.size[1] <= tile[1]:
        return on_cpu(system.infer([picture.read((0, 0, *picture.size))])[0])
    if "label_map" in system.task.needs:
        return on_cpu(segment_tiled(system, picture, tile=tile, overlap=overlap, batch_size=batch_size))
    return detect_tiled(system, picture, tile=tile, overlap=overlap, batch_size=batch_size)


def in_tiles(system: System, tile: int, overlap: int) -> Callable[[UInt8[Tensor, "3 h w"]], Prediction]:
    """Make what finds what is in pictures by square tiles; raises `InputError` as `find_tiled` does."""
    check_tiled(system, (tile, tile), overlap)
    return lambda image: find_tiled(system, InMemory(image), tile=(tile, tile), overlap=overlap)


def check_tiled(system: System, tile: tuple[int, int], overlap: int) -> None:
    """Raise `InputError` for an overlap as large as a tile, and for a system that finds one object in all it sees."""
    starts(1, min(tile), overlap)
    if not system.task.finds_many and "label_map" not in system.task.needs:
        raise InputError(
            f"tile: {system.name} finds {system.task.finds}, of which every tile would have one; leave it out"
        )


def detect_tiled(
    system: System, picture: Regions, *, tile: tuple[int, int], overlap: int, batch_size: int = 1
) -> Detections:
    """Give the objects of a picture, from tiles and from the whole, which is shrunk to the size of a tile.

    Each is treated as a picture of its own, with at most `Thresholds.max_detections` objects. Those that a border cuts,
    within an eighth of the overlap, are taken from the tile that sees them whole, or joined; see `joining`. Of the
    whole picture those count that are larger than the overlap: smaller ones are whole in a tile, and better seen there.
    """
    views: list[View] = []
    places = list(windows(picture.size, tile, overlap))
    for first in range(0, len(places), batch_size):
        some = places[first : first + batch_size]
        found = system.infer([picture.read(window) for window in some])
        for window, one in zip(some, found, strict=True):
            detections = on_cpu(one)
            assert isinstance(detections, Detections)
            views.append(View(window, detections))
    (prepared,) = system.prepare([shrunk(picture, tile)])
    (whole,) = system.infer_prepared([prepared._replace(sizes=[picture.size])])
    seen_whole = on_cpu(whole)
    assert isinstance(seen_whole, Detections)
    large = (seen_whole.boxes[:, 2:] - seen_whole.boxes[:, :2]).amax(1) > overlap
    return join(views, seen_whole[large], system.reader.thresholds, near=max(NEAR, overlap / 8))


@torch.inference_mode()
def segment_tiled(
    system: System,
    picture: Regions,
    *,
    tile: tuple[int, int],
    overlap: int,
    batch_size: int = 1,
) -> LabelMap:
    """Give the label map of a picture, from tiles of `(height, width)` that overlap by at least `overlap` pixels.

    Each tile is treated as a picture of its own: resized as the system says, and its scores resized back. Memory for
    scores is that of one row of tiles, and 8 bytes a pixel for the label map. Raises `InputError` when the overlap is
    not smaller than the tile.
    """
    height, width = picture.size
    tops, lefts = starts(height, tile[0], overlap), starts(width, tile[1], overlap)
    tile = min(tile[0], height), min(tile[1], width)
    weights = (taper(tile[0], overlap)[:, None] * taper(tile[1], overlap)).to(system.device)
    scores = torch.zeros(len(system.categories.label_map_names), tile[0], width, device=system.device)
    label_map = torch.empty(height, width, dtype=torch.int64)
    for top, below in pairwise([*tops, height]):
        for first in range(0, len(lefts), batch_size):
            columns = lefts[first : first + batch_size]
            tiles = [picture.read((top, left, *tile)) for left in columns]
            for left, logits in zip(columns, _logits(system, tiles), strict=True):
                scores[..., left : left + tile[1]] += weights * logits
        finished = below - top
        label_map[top:below] = scores[:, :finished].max(0).indices.cpu()
        scores = F.pad(scores[:, finished:], (0, 0, 0, finished))
    return LabelMap(label_map=label_map)


def taper(size: int, overlap: int) -> Float[Tensor, " {size}"]:
    """Give weights that rise from both borders over `overlap` pixels to 1, and are never 0."""
    from_border = torch.arange(1, size + 1).minimum(torch.arange(size, 0, -1))
    return (from_border / (overlap + 1)).clamp(max=1)


def _logits(system: System, tiles: list[Tensor]) -> Float[Tensor, "b c h w"]:
    scores = system.find(system.inputs(torch.stack([system.preprocess.resize(tile) for tile in tiles])))
    assert isinstance(scores, Scores)
    size = tiles[0].shape[-2:]
    if scores.logits.shape[-2:] == size:
        return scores.logits.float()
    return F.interpolate(scores.logits.float(), size=size, mode="bilinear", align_corners=False)
