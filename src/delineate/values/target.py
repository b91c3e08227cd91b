"""A target: what is known of one picture."""

from dataclasses import InitVar, dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.values.categories import Categories
from delineate.values.checks import (
    check_boxes,
    check_image_size,
    check_keypoints,
    check_label_map,
    check_labels,
    check_length,
    check_masks,
)
from delineate.values.errors import InputError

OF_OBJECTS = ("boxes", "labels", "masks", "keypoints", "visibility", "crowd", "difficult", "areas")
"""The fields that have one row an object."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """The annotation of one picture: N objects (N may be 0), a label map, or both.

    Boxes are `x1 y1 x2 y2` in absolute pixels; `visibility` is COCO's 0 (not annotated), 1 (hidden) or 2 (visible).
    A `crowd` row is a region of many objects (COCO's iscrowd); a `difficult` row is one that VOC does not count. Both
    are kept, never counted as background, and never as a miss. `areas` are those of masks in square pixels, where the
    masks themselves are not read; a resized picture has none. `proposals` are boxes that a proposer outside of the
    network found, the likeliest first: they are no truth, and move with the picture.

    Raises `InputError` naming the field and the row: boxes with NaN, without area or outside the picture, labels or
    label map values that `categories` (when given) does not name, lengths that differ.
    """

    image_size: tuple[int, int]
    boxes: Float[Tensor, "n 4"] = field(default_factory=lambda: torch.zeros(0, 4))
    labels: Int64[Tensor, " n"] = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    masks: Bool[Tensor, "n h w"] | None = None
    keypoints: Float[Tensor, "n k 2"] | None = None
    visibility: Int64[Tensor, "n k"] | None = None
    crowd: Bool[Tensor, " n"] = None  # type: ignore[assignment]  # becomes all false when it is made
    difficult: Bool[Tensor, " n"] = None  # type: ignore[assignment]  # likewise
    areas: Float[Tensor, " n"] | None = None
    label_map: Int64[Tensor, "h w"] | None = None
    proposals: Float[Tensor, "p 4"] | None = None
    categories: InitVar[Categories | None] = None

    def __post_init__(self, categories: Categories | None) -> None:
        count = len(self.boxes)
        check_image_size(self.image_size)
        check_boxes(self.boxes, self.image_size)
        check_length("labels", self.labels, count)
        check_labels("labels", self.labels, categories.num_classes if categories else None)
        if self.masks is not None:
            check_masks(self.masks, count, self.image_size)
        check_keypoints(self.keypoints, self.visibility, count)
        if self.areas is not None:
            check_length("areas", self.areas, count)
        for name in ("crowd", "difficult"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, torch.zeros(count, dtype=torch.bool))
            check_length(name, getattr(self, name), count)
        if self.proposals is not None:
            check_boxes(self.proposals, self.image_size, "proposals")
        if self.label_map is not None:
            if self.label_map.shape != self.image_size:
                raise InputError(
                    f"label_map: shape {tuple(self.label_map.shape)} is not the picture's {self.image_size}"
                )
            check_label_map(self.label_map, len(categories.label_map_names) if categories else None)

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def ignored(self) -> Bool[Tensor, " n"]:
        """The rows that are neither learned nor measured are crowds and difficult objects."""
        return self.crowd | self.difficult

    def largest(self) -> "Target":
        """Keep the object of the largest box alone, or none where all are crowds and difficult ones."""
        areas = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(1).masked_fill(self.ignored, -1)
        order = areas.argsort(descending=True, stable=True)
        return self[order[areas[order] >= 0][:1]]

    def __getitem__(self, rows: Tensor) -> "Target":
        """Keep some of the objects: `rows` is a mask `(N,)` or indices."""
        values = {name: getattr(self, name) for name in OF_OBJECTS}
        picked: dict[str, Any] = {name: value[rows] for name, value in values.items() if value is not None}
        return replace(self, **picked)
