"""The region pipeline. R-CNN, Fast, Faster and Mask R-CNN are this file with one stage after another exchanged.

    images ─► pyramid ─► levels ─┬─► proposer ─► boxes ─► RoI features ─► box head ─► NMS ─► boxes, classes, scores
                                 └──────────────────────────►┘                                │
                                 levels, found boxes ─► RoI features ─► mask head, keypoint head

B  pictures    R  RoIs of all pictures    C  classes    n  detections of a picture
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, distributed

from delineate.models.contract import Batches, Model, Say
from delineate.models.two_stage.heads.box import BoxHead, box_losses, select_detections
from delineate.models.two_stage.heads.keypoint import KeypointHead, keypoint_loss
from delineate.models.two_stage.heads.mask import MaskHead, mask_loss
from delineate.models.two_stage.proposers.contract import Levels, Proposer, SelectiveSearch
from delineate.models.two_stage.roi_features import RoIFeatures
from delineate.models.two_stage.svm import Described, fit_box_head
from delineate.nn.matching import match, objects_of
from delineate.nn.pyramids import Pyramid
from delineate.nn.sampling import sample_balanced
from delineate.ops.boxes import scale_boxes
from delineate.ops.keypoints import decode_heatmaps, keypoint_cells
from delineate.ops.nms import Found
from delineate.ops.pasting import paste_masks
from delineate.values import Detections, Target


class RegionOutputs(NamedTuple):
    """What the network found in one picture, in the coordinates of its input of `image_size`, best first."""

    image_size: tuple[int, int]
    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, " n"]
    labels: Int64[Tensor, " n"]
    masks: Float[Tensor, "n m m2"] | None
    heatmaps: Float[Tensor, "n k t t2"] | None


class Sampling(NamedTuple):
    """Which RoIs of a picture carry the detector's loss (Fast R-CNN, section 2.3).

    An RoI answers for its best object from `positive_iou` on, and is background where its best IoU is in
    `background_iou` `[low, high)`; `num_rois` are drawn, `positive_share` of them positives if there are so many.
    """

    num_rois: int = 512
    positive_share: float = 0.25
    positive_iou: float = 0.5
    background_iou: tuple[float, float] = (0.0, 0.5)


class RoIs(NamedTuple):
    """The sampled RoIs of one picture, and the row of the object that each answers for, among `objects`."""

    boxes: Float[Tensor, "r 4"]
    labels: Int64[Tensor, " r"]
    rows: Int64[Tensor, " r"]
    objects: Target


class RegionDetector(Model[list[RegionOutputs], Detections]):
    """Objects found in two steps: where to look, and what is there.

    Without `pyramid` the proposer and the RoI features look at pixels alone. Masks and keypoints are looked for in the
    boxes that were found, and have RoI features of their own.
    """

    keypoint_classes: Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        pyramid: Pyramid | None,
        proposer: Proposer,
        roi_features: RoIFeatures,
        box_head: BoxHead,
        mask_features: RoIFeatures | None = None,
        mask_head: MaskHead | None = None,
        keypoint_features: RoIFeatures | None = None,
        keypoint_head: KeypointHead | None = None,
        sampling: Sampling,
        classifier: Literal["softmax", "svm"] = "softmax",
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        max_detections: int = 100,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.pyramid, self.proposer = pyramid, proposer
        self.roi_features, self.box_head = roi_features, box_head
        self.mask_features, self.mask_head = mask_features, mask_head
        self.keypoint_features, self.keypoint_head = keypoint_features, keypoint_head
        self.sampling, self.classifier = sampling, classifier
        self.score_threshold, self.nms_threshold, self.max_detections = score_threshold, nms_threshold, max_detections
        # the classes that have had keypoints in training: of the others none are said
        self.register_buffer("keypoint_classes", torch.zeros(num_classes, dtype=torch.bool))

    @property
    def search(self) -> SelectiveSearch | None:
        """The proposer, where it looks at the decoded picture and can be run before the network."""
        return self.proposer if isinstance(self.proposer, SelectiveSearch) else None

    def levels(self, images: Float[Tensor, "b 3 h w"]) -> Levels:
        """The feature maps that proposer and heads share."""
        return () if self.pyramid is None else self.pyramid(images)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], proposals: Sequence[Float[Tensor, "_p 4"]] | None = None
    ) -> list[RegionOutputs]:
        """Everything but the way back to the original size; `proposals` take the place of the proposer's."""
        levels = self.levels(images)
        boxes = [found.boxes for found in self.proposer(images, levels)] if proposals is None else list(proposals)
        found = self.detect(images, levels, boxes)
        size = (images.shape[-2], images.shape[-1])
        masks, heatmaps = self.masks(images, levels, found), self.heatmaps(images, levels, found)
        return [
            RegionOutputs(size, *its, its_masks, its_heatmaps)
            for its, its_masks, its_heatmaps in zip(found, masks, heatmaps, strict=True)
        ]

    def detect(self, images: Tensor, levels: Levels, boxes: Sequence[Tensor]) -> list[Found]:
        """Classes and boxes of the RoIs of each picture."""
        outputs = self.box_head(self.roi_features(images, levels, boxes))
        counts = [len(its) for its in boxes]
        scores = torch.split(self.box_head.probabilities(outputs.logits), counts)
        deltas = torch.split(outputs.deltas, counts)
        size = (images.shape[-2], images.shape[-1])
        return [
            select_detections(
                score,
                delta,
                its,
                size,
                score_threshold=self.score_threshold,
                nms_threshold=self.nms_threshold,
                max_detections=self.max_detections,
            )
            for score, delta, its in zip(scores, deltas, boxes, strict=True)
        ]

    def masks(self, images: Tensor, levels: Levels, found: Sequence[Found]) -> Sequence[Tensor | None]:
        """The mask probabilities of each picture's detections."""
        if self.mask_features is None or self.mask_head is None:
            return [None] * len(found)
        rois = self.mask_features(images, levels, [its.boxes for its in found])
        masks = self.mask_head.masks(rois, torch.cat([its.labels for its in found]))
        return torch.split(masks, [len(its.boxes) for its in found])

    def heatmaps(self, images: Tensor, levels: Levels, found: Sequence[Found]) -> Sequence[Tensor | None]:
        """The heatmaps of each picture's detections, those of a class without keypoints flat."""
        if self.keypoint_features is None or self.keypoint_head is None:
            return [None] * len(found)
        having = [self.keypoint_classes[its.labels] for its in found]
        rois = self.keypoint_features(
            images, levels, [its.boxes[have] for its, have in zip(found, having, strict=True)]
        )
        heatmaps = self.keypoint_head(rois).float()
        everyone = heatmaps.new_zeros(sum(len(have) for have in having), *heatmaps.shape[1:])
        everyone[torch.cat(having)] = heatmaps
        return torch.split(everyone, [len(have) for have in having])

    def postprocess(self, outputs: list[RegionOutputs], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Boxes scaled to the original sizes, masks pasted there, heatmaps read."""
        return [self._original(found, size) for found, size in zip(outputs, sizes, strict=True)]

    def _original(self, found: RegionOutputs, size: tuple[int, int]) -> Detections:
        boxes = scale_boxes(found.boxes, found.image_size, size)
        keypoints = visibility = None
        if found.heatmaps is not None:
            places, _ = decode_heatmaps(found.heatmaps, found.boxes)
            having = self.keypoint_classes[found.labels]
            # a heatmap says where a keypoint is, not whether it can be seen
            visibility = (2 * having[:, None]).expand(places.shape[:2]).long()
            ratio = places.new_tensor([size[1] / found.image_size[1], size[0] / found.image_size[0]])
            keypoints = (places * ratio).where(having[:, None, None], 0.0)
        return Detections(
            image_size=size,
            boxes=boxes,
            labels=found.labels,
            scores=found.scores,
            rles=None if found.masks is None else paste_masks(found.masks, boxes, size),
            keypoints=keypoints,
            visibility=visibility,
        )

    def loss(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The proposer's losses, `class` and `box` of sampled RoIs, and `mask` and `keypoint` of those of objects."""
        levels = self.levels(images)
        proposals, losses = self.proposer.loss(images, levels, targets)
        sampled = [self.sample(boxes, target) for boxes, target in zip(proposals, targets, strict=True)]
        boxes = [rois.boxes for rois in sampled]
        labels = torch.cat([rois.labels for rois in sampled])
        answered = torch.cat([_rows(rois.objects.boxes.to(images.device), rois.rows) for rois in sampled])
        outputs = self.box_head(self.roi_features(images, levels, boxes))
        losses = {**losses, **box_losses(outputs, labels, torch.cat(boxes), answered)}
        objects = [_positives(rois, self.num_classes) for rois in sampled]
        if self.mask_features is not None and self.mask_head is not None:
            losses["mask"] = self._mask_loss(images, levels, objects)
        if self.keypoint_features is not None and self.keypoint_head is not None:
            losses["keypoint"] = self._keypoint_loss(images, levels, objects)
        return losses

    @torch.no_grad()
    def sample(self, proposals: Float[Tensor, "p 4"], target: Target) -> RoIs:
        """The RoIs of a picture that are learned from; the objects themselves are among the candidates."""
        objects = objects_of(target)
        boxes = torch.cat([proposals, objects.boxes.to(proposals)])
        # where there is no object, no background is nearly one: any is learned from
        low, high = self.sampling.background_iou
        negative_iou = (low if len(objects) else 0.0, high)
        matches = match(boxes, target, positive_iou=self.sampling.positive_iou, negative_iou=negative_iou)
        drawn = sample_balanced(
            matches.positive,
            matches.negative,
            count=self.sampling.num_rois,
            positive_share=self.sampling.positive_share,
        )
        rows = torch.cat(drawn).sort().values
        labels = _rows(objects.labels.to(rows.device), matches.rows[rows])
        return RoIs(boxes[rows], labels.where(matches.positive[rows], self.num_classes), matches.rows[rows], objects)

    @property
    def fits(self) -> bool:
        return self.classifier == "svm"

    def fit(self, batches: Batches, folder: Path, say: Say) -> None:
        """SVMs and a ridge regression of boxes, on the features that the box head has learned (svm.py)."""
        fit_box_head(self.box_head, self.describe, batches, folder, say)

    @torch.no_grad()
    def describe(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> list[Described]:
        """The features of each picture's proposals, and after them of its objects."""
        levels = self.levels(images)
        proposals = [target.proposals.to(images.device) for target in targets if target.proposals is not None]
        if len(proposals) < len(targets):
            proposals = [found.boxes for found in self.proposer(images, levels)]
        objects = [objects_of(target).boxes.to(images.device) for target in targets]
        boxes = [torch.cat(both) for both in zip(proposals, objects, strict=True)]
        features = self.box_head.describe(self.roi_features(images, levels, boxes)).float()
        return list(map(Described, proposals, torch.split(features, [len(its) for its in boxes])))

    def _mask_loss(self, images: Tensor, levels: Levels, objects: Sequence[RoIs]) -> Tensor:
        assert self.mask_features is not None
        assert self.mask_head is not None
        logits = self.mask_head(self.mask_features(images, levels, [rois.boxes for rois in objects]))
        masks = [_masks(rois.objects).to(images.device) for rois in objects]
        labels = torch.cat([rois.labels for rois in objects])
        return mask_loss(logits, labels, [rois.boxes for rois in objects], [rois.rows for rois in objects], masks)

    def _keypoint_loss(self, images: Tensor, levels: Levels, objects: Sequence[RoIs]) -> Tensor:
        assert self.keypoint_features is not None
        assert self.keypoint_head is not None
        boxes, cells, counted = [], [], []
        classes = self.keypoint_classes.to(torch.uint8)
        for rois in objects:
            keypoints, visibility = _keypoints(rois.objects, self.keypoint_head.enlarge.out_channels)
            seen = _rows(visibility.to(rois.rows.device), rois.rows)
            having = (seen > 0).any(1)  # an object without keypoints has nothing to say
            classes[rois.labels[having]] = 1
            places = _rows(keypoints.to(images.device), rois.rows)
            boxes.append(rois.boxes[having])
            cell, count = keypoint_cells(places[having], seen[having], rois.boxes[having], self.heatmap_size)
            cells.append(cell)
            counted.append(count)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(classes, distributed.ReduceOp.MAX)
        self.keypoint_classes.copy_(classes)
        heatmaps = self.keypoint_head(self.keypoint_features(images, levels, boxes))
        return keypoint_loss(heatmaps, torch.cat(cells), torch.cat(counted))

    @property
    def heatmap_size(self) -> int:
        """The side of the heatmaps: four times that of the features they are read from."""
        assert self.keypoint_features is not None
        return 4 * self.keypoint_features.size


def _positives(rois: RoIs, num_classes: int) -> RoIs:
    """The RoIs that answer for an object."""
    positive = rois.labels != num_classes
    return RoIs(rois.boxes[positive], rois.labels[positive], rois.rows[positive], rois.objects)


def _masks(objects: Target) -> Bool[Tensor, "n h w"]:
    if not len(objects):  # a picture without objects may come without the fields that objects have
        return torch.zeros(0, *objects.image_size, dtype=torch.bool)
    assert objects.masks is not None, "a system with a mask head trains on masks"
    return objects.masks


def _keypoints(objects: Target, num_keypoints: int) -> tuple[Float[Tensor, "n k 2"], Int64[Tensor, "n k"]]:
    if not len(objects):
        return torch.zeros(0, num_keypoints, 2), torch.zeros(0, num_keypoints, dtype=torch.int64)
    assert objects.keypoints is not None, "a system with a keypoint head trains on keypoints"
    assert objects.visibility is not None
    return objects.keypoints, objects.visibility


def _rows(values: Tensor, rows: Tensor) -> Tensor:
    """`values[rows]`; zeros where there are no values, and so nothing is answered for."""
    return values[rows] if len(values) else values.new_zeros(len(rows), *values.shape[1:])
