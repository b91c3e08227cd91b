"""Rows, in pixels of the network's input, read into the detections of the original pictures.

K  detections of a picture    J  keypoints
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from delineate.models.contract import Rows
from delineate.ops.boxes import scale_boxes
from delineate.ops.keypoints import decode_heatmaps
from delineate.ops.pasting import paste_masks
from delineate.values import Detections

VISIBLE = 2
"""The visibility of every keypoint that is predicted: a network says where it is, not whether it can be seen."""


def detections(found: Rows, size: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
    """The rows of each picture that score at least 0, in the pixels of its original of `(height, width)` in `sizes`.

    `size` is that of the network's input. Masks are pasted into their boxes there, and heatmaps read.
    """
    counts = (found.scores >= 0).sum(1).tolist()
    pictures = [
        Rows._make(None if value is None else value[row, :count] for value in found) for row, count in enumerate(counts)
    ]
    return [_original(rows, size, original) for rows, original in zip(pictures, sizes, strict=True)]


def _original(rows: Rows, size: tuple[int, int], original: tuple[int, int]) -> Detections:
    """The detections of one picture; its rows have no axis of pictures."""
    boxes = scale_boxes(rows.boxes, size, original)
    places = _places(rows)
    keypoints = visibility = None
    if places is not None and rows.posed is not None:
        ratio = places.new_tensor([original[1] / size[1], original[0] / size[0]])
        keypoints = (places * ratio).where(rows.posed[:, None, None], 0.0)
        visibility = (VISIBLE * rows.posed.long())[:, None].expand(places.shape[:2])
    return Detections(
        image_size=original,
        boxes=boxes,
        labels=rows.labels,
        scores=rows.scores,
        rles=None if rows.masks is None else paste_masks(rows.masks, boxes, original),
        keypoints=keypoints,
        visibility=visibility,
    )


def _places(rows: Rows) -> Float[Tensor, "k j 2"] | None:
    """The keypoints of one picture in pixels of the network's input, where the system gives any."""
    if rows.heatmaps is None:
        return rows.keypoints
    return decode_heatmaps(rows.heatmaps, rows.boxes)[0]
