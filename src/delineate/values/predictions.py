"""Predictions: what a system says of one picture, in the coordinates of the original picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.ops.masks import RLE, decode_rle
from delineate.values.checks import check_boxes, check_image_size, check_keypoints, check_labels, check_length
from delineate.values.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections:
    """A system detected N objects in one picture; scores descend, masks and keypoints are there where it gives them.

    Masks are kept as COCO's RLE, of which hundreds on a large picture weigh no more than the picture. `tracks` are the
    identities that objects have in a video, -1 for one that has none yet. Raises `InputError` naming the field and the
    row, as `Target` does, and where scores ascend.
    """

    image_size: tuple[int, int]
    boxes: Float[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    scores: Float[Tensor, " n"]
    rles: Sequence[RLE] | None = None
    keypoints: Float[Tensor, "n k 2"] | None = None
    visibility: Int64[Tensor, "n k"] | None = None
    tracks: Int64[Tensor, " n"] | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        check_image_size(self.image_size)
        check_boxes(self.boxes, self.image_size)
        check_length("labels", self.labels, count)
        check_labels("labels", self.labels, None)
        check_length("scores", self.scores, count)
        ascending = (self.scores.diff() > 0).nonzero()
        if len(ascending):
            raise InputError(f"scores: row {int(ascending[0, 0]) + 1} is higher than the row before; sort descending")
        if self.rles is not None:
            check_length("rles", self.rles, count)
            for row, rle in enumerate(self.rles):
                if tuple(rle["size"]) != self.image_size:
                    raise InputError(f"rles: row {row} is of size {rle['size']}, the picture's is {self.image_size}")
        check_keypoints(self.keypoints, self.visibility, count)
        if self.tracks is not None:
            check_length("tracks", self.tracks, count)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Tensor) -> "Detections":
        """Keep some of the objects: `rows` is a mask `(N,)` or indices, by which scores still descend."""
        rows = rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows
        kept: dict[str, Any] = {name: value[rows] for name, value in vars(self).items() if isinstance(value, Tensor)}
        if self.rles is not None:
            kept["rles"] = [self.rles[row] for row in rows.tolist()]
        return replace(self, **kept)

    def above(self, score: float | Float[Tensor, " c"]) -> "Detections":
        """Keep those that score at least `score`, of which there may be one for each class."""
        least = score.to(self.scores)[self.labels] if isinstance(score, Tensor) else score
        return self[self.scores >= least]

    def scored(self, scores: Float[Tensor, " n"]) -> "Detections":
        """Give the objects other scores, by which they are sorted anew; of equal ones the first stays first."""
        order = scores.argsort(descending=True, stable=True)
        unsorted = replace(self, scores=torch.zeros_like(scores))
        return replace(unsorted[order], scores=scores[order])

    @property
    def masks(self) -> Bool[Tensor, "n h w"] | None:
        """Decoded, the masks take N pictures' worth of memory."""
        return None if self.rles is None else decode_rle(self.rles, self.image_size)


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelMap:
    """A label map holds the class of every pixel of one picture, `(H, W)`."""

    label_map: Int64[Tensor, "h w"]

    def __post_init__(self) -> None:
        if self.label_map.ndim != 2:
            raise InputError(f"label_map: shape {tuple(self.label_map.shape)} is not (H, W)")
        check_labels("label_map", self.label_map, None)

    @property
    def image_size(self) -> tuple[int, int]:
        height, width = self.label_map.shape
        return height, width

    def shares(self, num_classes: int) -> Float[Tensor, " num_classes"]:
        """Measure the share of the picture's pixels that each class has; they sum to 1."""
        return torch.bincount(self.label_map.flatten(), minlength=num_classes) / self.label_map.numel()


Prediction = Detections | LabelMap


def on_cpu(prediction: Prediction) -> Prediction:
    """Copy a prediction with all its tensors to the CPU."""
    moved: dict[str, Any] = {name: value.cpu() for name, value in vars(prediction).items() if isinstance(value, Tensor)}
    return replace(prediction, **moved)
