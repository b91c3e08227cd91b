"""What was found in overlapping tiles, and in the whole picture, becomes one result.

An object at the border of a tile is seen twice, and may be cut. In the strip that two tiles share both see the same:
objects of a class that overlap there are one. Where a tile sees the object whole, its answer is taken; where none does,
the pieces are joined. What is left is thinned out by NMS, as the system does in a picture.

N  objects of all tiles    W  objects of the whole picture    K  keypoints
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Bool, Float, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from delineate.data.cutting import Window
from delineate.ops.masks import RLE, decode_rle, moved_rle
from delineate.values import Detections, Thresholds

SAME, INSIDE = 0.5, 0.8
"""Pieces are of one object where they overlap by this IoU in the strip that both tiles see; a piece of which this share
lies in a whole object is a part of it."""
MOST_IOU = 0.5
"""Objects of one class that overlap more are one, even where the system itself needs no NMS."""


class View(NamedTuple):
    """Objects were found in a window of the picture, in the window's own pixels."""

    window: Window
    found: Detections


class Pieces(NamedTuple):
    """The objects of all tiles are pieces, in pixels of the picture.

    `cut` says at which borders of its tile, left, top, right and bottom, an object ends. Masks stay those of the tiles,
    in `rles`; `tiles` says whose an object is.
    """

    boxes: Float[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    scores: Float[Tensor, " n"]
    cut: Bool[Tensor, "n 4"]
    tiles: Int64[Tensor, " n"]
    rles: list[RLE] | None


def join(views: Sequence[View], whole: Detections, thresholds: Thresholds | None, near: float) -> Detections:
    """Make one result of what was found in tiles, and in the `whole` picture, which is in the picture's own pixels.

    An object is cut where its box comes as near to an inner border of its tile as `near` pixels. A joined object has
    the best score of its pieces, and the keypoints of the largest.
    """
    size, pieces = whole.image_size, _pieces(views, whole.image_size, near)
    groups = _groups(pieces, views)
    boxes = torch.stack([_around(pieces.boxes[rows]) for rows in groups]) if groups else pieces.boxes
    best = [int(rows[pieces.scores[rows].argmax()]) for rows in groups]
    partial = torch.tensor([len(rows) == 1 and bool(pieces.cut[rows].any()) for rows in groups], dtype=torch.bool)
    boxes, labels = torch.cat([boxes, whole.boxes]), torch.cat([pieces.labels[best], whole.labels])
    scores = torch.cat([pieces.scores[best], whole.scores])
    partial = torch.cat([partial, torch.zeros(len(whole), dtype=torch.bool)])
    left = (~_parts(boxes, labels, partial)).nonzero()[:, 0]
    iou = MOST_IOU if thresholds is None else min(thresholds.nms_iou, MOST_IOU)
    alike = torch.zeros_like(labels) if thresholds is not None and thresholds.class_agnostic else labels
    kept = left[batched_nms(boxes[left].double(), scores[left].double(), alike[left], iou)]
    rows = kept.tolist()
    num_joined = len(groups)
    keypoints, visibility = _keypoints(views, whole, pieces, groups)
    return Detections(
        image_size=size,
        boxes=boxes[kept],
        labels=labels[kept],
        scores=scores[kept],
        rles=None
        if whole.rles is None
        else [
            _mask(views, pieces, groups[row], size) if row < num_joined else whole.rles[row - num_joined]
            for row in rows
        ],
        keypoints=None if keypoints is None else keypoints[kept],
        visibility=None if visibility is None else visibility[kept],
    )


def _pieces(views: Sequence[View], size: tuple[int, int], near: float) -> Pieces:
    """Put the objects of all tiles into one table."""
    offsets = [torch.tensor([view.window[1], view.window[0]]).repeat(2) for view in views]
    boxes = [view.found.boxes + offset for view, offset in zip(views, offsets, strict=True)]
    return Pieces(
        boxes=torch.cat(boxes),
        labels=torch.cat([view.found.labels for view in views]),
        scores=torch.cat([view.found.scores for view in views]),
        cut=torch.cat([cut_at(own, view.window, size, near) for own, view in zip(boxes, views, strict=True)]),
        tiles=torch.cat([torch.full((len(own),), number) for number, own in enumerate(boxes)]),
        rles=None if views[0].found.rles is None else [rle for view in views for rle in view.found.rles or ()],
    )


def corners_of(window: Window) -> Float[Tensor, "4"]:
    """Give a window as a box."""
    top, left, height, width = window
    return torch.tensor([left, top, left + width, top + height], dtype=torch.float32)


def cut_at(boxes: Float[Tensor, "n 4"], window: Window, size: tuple[int, int], near: float) -> Bool[Tensor, "n 4"]:
    """Tell at which borders of its tile, that are not the picture's, each object ends: left, top, right, bottom."""
    corners = corners_of(window)
    inner = corners != torch.tensor([0, 0, size[1], size[0]])
    return ((boxes - corners).abs() <= near) & inner


def _groups(pieces: Pieces, views: Sequence[View]) -> list[Tensor]:
    """Find the rows that are one object each: a single row, or pieces of which no tile sees the whole."""
    count = len(pieces.boxes)
    links = np.array(list(_same(pieces, views)), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(links), dtype=bool), (links[:, 0], links[:, 1])), shape=(count, count))
    labels = torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))
    order = labels.argsort(stable=True)
    groups: list[Tensor] = []
    ends = torch.bincount(labels).cumsum(0)[:-1]
    for rows in order.tensor_split(ends) if count else ():
        seen_whole = rows[~pieces.cut[rows].any(1)]
        groups += list(seen_whole[:, None]) if len(seen_whole) else [rows]
    return groups


def _same(pieces: Pieces, views: Sequence[View]) -> Iterator[tuple[int, int]]:
    """Give the pairs of objects, at least one of them cut in the other's tile, that are the same in a shared strip."""
    corners = torch.stack([corners_of(view.window) for view in views])
    of_tile = [(pieces.tiles == number).nonzero()[:, 0] for number in range(len(views))]
    for one in range(len(views)):
        shared_from = torch.maximum(corners[one, :2], corners[one + 1 :, :2])
        shared_to = torch.minimum(corners[one, 2:], corners[one + 1 :, 2:])
        for other in (one + 1 + (shared_to > shared_from).all(1).nonzero()[:, 0]).tolist():
            strip = torch.cat([shared_from[other - one - 1], shared_to[other - one - 1]])
            mine = of_tile[one][_reaching(pieces.boxes[of_tile[one]], strip)]
            theirs = of_tile[other][_reaching(pieces.boxes[of_tile[other]], strip)]
            if not len(mine) or not len(theirs):
                continue
            ends = _ends_in(pieces.cut[mine], corners[one], corners[other])[:, None]
            ends = ends | _ends_in(pieces.cut[theirs], corners[other], corners[one])[None]
            alike = pieces.labels[mine][:, None] == pieces.labels[theirs]
            overlap = box_iou(_within(pieces.boxes[mine], strip), _within(pieces.boxes[theirs], strip))
            for row, column in ((overlap >= SAME) & ends & alike).nonzero().tolist():
                pair = int(mine[row]), int(theirs[column])
                if pieces.rles is None or _masks_agree(pieces, views, pair, strip):
                    yield pair


def _reaching(boxes: Float[Tensor, "n 4"], strip: Float[Tensor, "4"]) -> Bool[Tensor, " n"]:
    within = _within(boxes, strip)
    return (within[:, 2:] > within[:, :2]).all(1)


def _within(boxes: Float[Tensor, "n 4"], strip: Float[Tensor, "4"]) -> Float[Tensor, "n 4"]:
    return boxes.clamp(strip[:2].repeat(2), strip[2:].repeat(2))


def _ends_in(cut: Bool[Tensor, "n 4"], own: Float[Tensor, "4"], other: Float[Tensor, "4"]) -> Bool[Tensor, " n"]:
    """Tell which objects end at a border of their own tile that lies inside of the other one."""
    low, high = other[[0, 1, 0, 1]], other[[2, 3, 2, 3]]
    return (cut & (own > low) & (own < high)).any(1)


def _masks_agree(pieces: Pieces, views: Sequence[View], pair: tuple[int, int], strip: Float[Tensor, "4"]) -> bool:
    """Tell whether the masks of two pieces are about the same in a shared strip."""
    assert pieces.rles is not None
    x1, y1, x2, y2 = map(int, strip.tolist())
    parts = []
    for row in pair:
        top, left, height, width = views[int(pieces.tiles[row])].window
        mask = decode_rle([pieces.rles[row]], (height, width))[0]
        parts.append(mask[y1 - top : y2 - top, x1 - left : x2 - left])
    both, either = (parts[0] & parts[1]).sum(), (parts[0] | parts[1]).sum()
    return bool(either > 0) and float(both / either) >= SAME


def _around(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "4"]:
    return torch.cat([boxes[:, :2].amin(0), boxes[:, 2:].amax(0)])


def _parts(boxes: Float[Tensor, "n 4"], labels: Int64[Tensor, " n"], partial: Bool[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Tell which cut pieces lie in a whole object of their class."""
    parts = torch.zeros_like(partial)
    wholes = (~partial).nonzero()[:, 0]
    for row in partial.nonzero()[:, 0].tolist():
        x1, y1, x2, y2 = boxes[row].tolist()
        own = boxes[wholes[labels[wholes] == labels[row]]]
        shared = own.clamp(torch.tensor([x1, y1, x1, y1]), torch.tensor([x2, y2, x2, y2]))
        area = (shared[:, 2:] - shared[:, :2]).prod(1)
        parts[row] = bool((area >= INSIDE * (x2 - x1) * (y2 - y1)).any())
    return parts


def _mask(views: Sequence[View], pieces: Pieces, rows: Tensor, size: tuple[int, int]) -> RLE:
    """Move the masks of the pieces of an object to the picture, and unite them."""
    assert pieces.rles is not None
    moved = []
    for row in rows.tolist():
        top, left, *_ = views[int(pieces.tiles[row])].window
        moved.append(moved_rle(pieces.rles[row], (top, left), size))
    if len(moved) == 1:
        return moved[0]
    united: dict[str, Any] = coco_masks.merge(moved, False)
    return RLE(size=list(size), counts=united["counts"].decode())


def _keypoints(
    views: Sequence[View], whole: Detections, pieces: Pieces, groups: Sequence[Tensor]
) -> tuple[Tensor | None, Tensor | None]:
    """Take the keypoints of each object's largest piece, those of the whole picture behind them."""
    if whole.keypoints is None or whole.visibility is None:
        return None, None
    areas = (pieces.boxes[:, 2:] - pieces.boxes[:, :2]).prod(1)
    largest = torch.tensor([int(rows[areas[rows].argmax()]) for rows in groups], dtype=torch.int64)
    places = []
    for view in views:
        assert view.found.keypoints is not None
        places.append(view.found.keypoints + torch.tensor([view.window[1], view.window[0]]))
    visibility = torch.cat([view.found.visibility for view in views if view.found.visibility is not None])
    shown = torch.cat([visibility[largest], whole.visibility])
    keypoints = torch.cat([torch.cat(places)[largest], whole.keypoints])
    return keypoints.where(shown[..., None] > 0, 0.0), shown
