"""Readers of rows: they make detections of the original pictures of rows in pixels of the network's input.

B  pictures    C  classes    N  candidates    K  detections of a picture    J  keypoints
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from delineate.models.contract import Raw, Reader, Rows
from delineate.ops.boxes import scale_boxes
from delineate.ops.keypoints import decode_heatmaps
from delineate.ops.nms import select
from delineate.ops.pasting import paste_masks
from delineate.values import Detections, Thresholds

VISIBLE = 2
"""The visibility of every keypoint that is predicted: a network says where it is, not whether it can be seen."""


class RowReader(Reader[Raw, Rows]):
    """A reader whose results are detections."""

    def results(self, outputs: Rows, size: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Keep the rows of each picture that score at least 0, paste their masks and read their heatmaps."""
        counts = (outputs.scores >= 0).sum(1).tolist()
        pictures = [
            Rows._make(None if value is None else value[row, :count] for value in outputs)
            for row, count in enumerate(counts)
        ]
        return [_original(rows, size, original) for rows, original in zip(pictures, sizes, strict=True)]


@dataclass(frozen=True, kw_only=True)
class BoxReader(RowReader[Raw]):
    """A reader of scored boxes, which NMS thins out class by class."""

    thresholds: Thresholds = field(default_factory=Thresholds)

    @abstractmethod
    def candidates(
        self, raw: Raw, size: tuple[int, int]
    ) -> tuple[Float[Tensor, "b c n"], Float[Tensor, "b c n 4"] | Float[Tensor, "b 1 n 4"]]:
        """Compute the scores and the boxes of all candidates, as `ops.nms.select` takes them."""

    def find(self, raw: Raw, size: tuple[int, int]) -> Rows:
        return Rows(*select(*self.candidates(raw, size), size, **vars(self.thresholds)))


def _original(rows: Rows, size: tuple[int, int], original: tuple[int, int]) -> Detections:
    """Move the rows of one picture, without an axis of pictures, from an input of `size` to the original size."""
    boxes = scale_boxes(rows.boxes, size, original)
    joints = rows.keypoints if rows.heatmaps is None else decode_heatmaps(rows.heatmaps, rows.boxes)[0]
    keypoints = visibility = None
    if joints is not None and rows.posed is not None:
        ratio = joints.new_tensor([original[1] / size[1], original[0] / size[0]])
        keypoints = (joints * ratio).where(rows.posed[:, None, None], 0.0)
        visibility = (VISIBLE * rows.posed.long())[:, None].expand(joints.shape[:2])
    return Detections(
        image_size=original,
        boxes=boxes,
        labels=rows.labels,
        scores=rows.scores,
        rles=None if rows.masks is None else paste_masks(rows.masks, boxes, original),
        keypoints=keypoints,
        visibility=visibility,
    )
