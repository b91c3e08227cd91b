"""What two forms of a system give of one picture is compared, object by object."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import box_iou

from delineate.ops.masks import RLE
from delineate.values import Detections, LabelMap, Prediction, Thresholds

NEAR_IOU = 0.01
"""Two boxes whose IoU is so near to the one of NMS may both stay, or not."""
SPARE_PIXELS = 2
"""So many pixels of an outline may fall on either side, however small the mask."""


class Found(NamedTuple):
    """Rows of one picture have boxes, labels and scores, whatever else they have."""

    boxes: Float[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    scores: Float[Tensor, " n"]


class Pairs(NamedTuple):
    """Rows of one and of another result belong together; `lone` rows have no partner, and no reason for it."""

    ours: list[int]
    theirs: list[int]
    lone: list[tuple[str, int]]


def paired(ours: Found, theirs: Found, *, thresholds: Thresholds | None, floor: float, margin: float) -> Pairs:
    """Pair rows one to one by label, place and score.

    A row without a partner has a reason where its score is within `margin` of `floor`, or of the lowest of a result
    that is full; or where its overlap with another is that of NMS, nearly.
    """
    overlap = box_iou(ours.boxes.double(), theirs.boxes.double())
    same = ours.labels[:, None] == theirs.labels[None]
    apart = (ours.scores[:, None] - theirs.scores[None]).abs()
    cost = torch.where(same & (overlap > 0.5), 1 - overlap + apart, torch.tensor(10.0, dtype=overlap.dtype))
    rows, columns = linear_sum_assignment(cost.numpy())
    good = cost.numpy()[rows, columns] < 10
    left, right = rows[good].tolist(), columns[good].tolist()
    lone = [
        (name, row)
        for name, one, other, taken in (("ours", ours, theirs, set(left)), ("theirs", theirs, ours, set(right)))
        for row in range(len(one.boxes))
        if row not in taken and not _has_reason(one, row, other, thresholds, floor, margin)
    ]
    return Pairs(left, right, lone)


def _has_reason(one: Found, row: int, other: Found, thresholds: Thresholds | None, floor: float, margin: float) -> bool:
    score = float(one.scores[row])
    if abs(score - floor) <= margin:
        return True
    if thresholds is None:
        return False
    if len(other.scores) >= thresholds.max_detections and score <= float(other.scores.min()) + margin:
        return True
    boxes = torch.cat([one.boxes[one.labels == one.labels[row]], other.boxes[other.labels == one.labels[row]]])
    overlap = box_iou(one.boxes[row][None].double(), boxes.double())
    return bool(((overlap - thresholds.nms_iou).abs() <= NEAR_IOU).any())


@dataclass
class Worst:
    """The largest difference of each kind is kept, with the picture where it was met."""

    figures: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)

    def see(self, kind: str, value: float, picture: str) -> None:
        """Keep a difference that is larger than those before; one that is no number is the largest."""
        value = float("inf") if np.isnan(value) else float(value)
        if kind not in self.figures or value > self.figures[kind]:
            self.figures[kind], self.pictures[kind] = value, picture

    def include(self, other: "Worst") -> None:
        """Keep what is larger in another's."""
        for kind, value in other.figures.items():
            self.see(kind, value, other.pictures[kind])


def compare_values(
    ours: dict[str, Tensor], theirs: dict[str, Tensor], thresholds: Thresholds | None, margin: float, name: str
) -> Worst:
    """Compare what two graphs give for a batch, value by value.

    Boxes and keypoints differ in pixels, scores and masks in probability, heatmaps and logits as a share of the largest
    value; of `pixels`, so large a share has another class.
    """
    worst = Worst()
    if "logits" in ours:
        apart = float((ours["logits"] - theirs["logits"]).abs().max())
        worst.see("logits", apart / largest(theirs["logits"]), name)
        worst.see("pixels", float((ours["label_map"] != theirs["label_map"]).float().mean()), name)
        return worst
    for picture in range(len(theirs["scores"])):
        one, other = (
            {key: value[picture][rows["scores"][picture] >= 0] for key, value in rows.items()}
            for rows in (ours, theirs)
        )
        floor = 0.0 if thresholds is None else thresholds.score
        pairs = paired(_found(one), _found(other), thresholds=thresholds, floor=floor, margin=margin)
        worst.see("rows", len(pairs.lone), name)
        for key, value in one.items():
            if key == "labels" or not pairs.ours:
                continue
            left, right = value[pairs.ours].float(), other[key][pairs.theirs].float()
            scale = largest(right) if key == "heatmaps" else 1.0
            worst.see(key, float((left - right).abs().max()) / scale, name)
    return worst


def largest(values: Tensor) -> float:
    """Tell the largest value, of which differences are a share; 1 at least."""
    return float(values.abs().max().clamp(min=1))


def _picture(rows: dict[str, Tensor], picture: int) -> dict[str, Tensor]:
    """Take the rows of one picture that hold something."""
    held = rows["scores"][picture] >= 0
    return {key: value[picture][held] for key, value in rows.items()}


def _found(rows: dict[str, Tensor]) -> Found:
    return Found(rows["boxes"], rows["labels"], rows["scores"])


class Closeness(NamedTuple):
    """Two objects are the same where they differ by no more than this.

    IoU of boxes and of masks, difference of scores, distance of keypoints as a share of the box's side; of `objects`,
    or of `pixels` of label maps, such a share may differ.
    """

    iou: float
    score: float
    mask_iou: float
    keypoint: float
    objects: float
    pixels: float


@dataclass
class Agreement:
    """Results are compared picture by picture, and counted."""

    close: Closeness
    thresholds: Thresholds | None
    floor: float
    count: int = 0
    differing: int = 0
    pixels: int = 0
    other_pixels: int = 0
    worst: Worst = field(default_factory=Worst)
    example: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """Measure the share of objects, or of pixels, that differ; of nothing, none does."""
        if self.pixels:
            return {"pixels": self.other_pixels / self.pixels}
        return {"objects": self.differing / max(self.count, 1)}

    def of(self, ours: Prediction, theirs: Prediction, picture: str) -> "Agreement":
        """Compare the results of a picture alone."""
        alone = Agreement(close=self.close, thresholds=self.thresholds, floor=self.floor)
        alone.add(ours, theirs, picture)
        return alone

    def include(self, other: "Agreement") -> None:
        """Add what was compared elsewhere."""
        self.count += other.count
        self.differing += other.differing
        self.pixels += other.pixels
        self.other_pixels += other.other_pixels
        self.worst.include(other.worst)
        self.example = self.example or other.example

    def add(self, ours: Prediction, theirs: Prediction, picture: str) -> None:
        """Compare the results of a picture."""
        if isinstance(ours, LabelMap) and isinstance(theirs, LabelMap):
            other = int((ours.label_map != theirs.label_map).sum())
            self.pixels += ours.label_map.numel()
            self.other_pixels += other
            self.worst.see("pixels", other / ours.label_map.numel(), picture)
            return
        assert isinstance(ours, Detections)
        assert isinstance(theirs, Detections)
        one, another = ours.above(self.floor), theirs.above(self.floor)
        pairs = paired(
            Found(one.boxes, one.labels, one.scores),
            Found(another.boxes, another.labels, another.scores),
            thresholds=self.thresholds,
            floor=self.floor,
            margin=self.close.score,
        )
        self.count += len(pairs.ours) + len(pairs.lone)
        for whose, row in pairs.lone:
            rows = one if whose == "ours" else another
            self._differs(f"{picture}: an object of score {float(rows.scores[row]):.3f} has no partner")
        for left, right in zip(pairs.ours, pairs.theirs, strict=True):
            self._compare(one, left, another, right, picture)

    def _compare(self, one: Detections, left: int, another: Detections, right: int, picture: str) -> None:
        apart = {
            "box": 1 - float(box_iou(one.boxes[left][None].double(), another.boxes[right][None].double())),
            "score": abs(float(one.scores[left] - another.scores[right])),
        }
        limits = {"box": 1 - self.close.iou, "score": self.close.score}
        if one.rles is not None and another.rles is not None:
            apart["mask"], limits["mask"] = _masks_apart(one.rles[left], another.rles[right]), 1 - self.close.mask_iou
        if one.keypoints is not None and another.keypoints is not None:
            side = float((another.boxes[right][2:] - another.boxes[right][:2]).prod().sqrt().clamp(min=1))
            distance = (one.keypoints[left] - another.keypoints[right]).norm(dim=-1).max()
            apart["keypoint"], limits["keypoint"] = float(distance) / side, self.close.keypoint
        for kind, value in apart.items():
            self.worst.see(kind, value, picture)
        beyond = [f"{kind} by {value:.3g}" for kind, value in apart.items() if value > limits[kind]]
        if beyond:
            self._differs(f"{picture}: an object of score {float(another.scores[right]):.3f} differs, {beyond[0]}")

    def _differs(self, example: str) -> None:
        self.differing += 1
        self.example = self.example or example


def _masks_apart(one: RLE, other: RLE) -> float:
    """Measure 1 - IoU of two masks, some pixels of whose outlines do not count."""
    union = float(coco_masks.area(coco_masks.merge([one, other])))
    common = float(coco_masks.area(coco_masks.merge([one, other], intersect=True)))
    return max(0.0, union - common - SPARE_PIXELS) / max(union, 1.0)
