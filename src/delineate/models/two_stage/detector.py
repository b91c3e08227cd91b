"""The two-stage pipeline. R-CNN, Fast, Faster and Mask R-CNN are this file with one stage after another exchanged.

    images ─► pyramid ─► levels ─┬─► proposer ─► proposals ─► RoI features ─► box head ─► scores, deltas ─► NMS ─► rows
                                 └──────────────────────────────►┘                                               │
                                 levels, boxes of the rows ─► RoI features ─► mask head, keypoint head ◄─────────┘

B  pictures    P  proposals of a picture    R  RoIs of all pictures    C  classes    K  rows
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.data.proposals import Search
from delineate.models.capacity import Capacity
from delineate.models.contract import Batches, Inputs, Model, Rows, Say, TrainingPictures
from delineate.models.naming import SHARED, Named
from delineate.models.rows import BoxReader
from delineate.models.two_stage.heads.box import WEIGHTS, BoxHead, box_loss, class_loss
from delineate.models.two_stage.heads.keypoint import KeypointHead, keypoint_loss
from delineate.models.two_stage.heads.mask import MaskHead, mask_loss, mask_targets
from delineate.models.two_stage.proposers import RPN
from delineate.models.two_stage.rois import PooledFeatures, RoIWarp, numbered, numbered_list
from delineate.models.two_stage.svm import Described, fit_box_head
from delineate.nn.classifying import ClassLoss
from delineate.nn.matching import Matches, match
from delineate.nn.pyramids import Pyramid
from delineate.nn.sampling import sample_balanced
from delineate.ops.boxes import decode_boxes
from delineate.ops.nms import NONE
from delineate.values import Thresholds, Truth


class TwoStageRaw(NamedTuple):
    """The box head scores and moves every proposal; further heads look at the feature maps.

    Boxes of zeros, which fill up the proposals of a picture, score `NONE`.
    """

    proposals: Float[Tensor, "b p 4"]
    scores: Float[Tensor, "b p c"]
    deltas: Float[Tensor, "b p c 4"]
    levels: tuple[Float[Tensor, "b d _h _w"], ...]


@dataclass(frozen=True, kw_only=True)
class TwoStageReader(BoxReader[TwoStageRaw]):
    """Each proposal is moved by the deltas of each class, and NMS thins out class by class."""

    def candidates(self, raw: TwoStageRaw, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        boxes = decode_boxes(raw.deltas, raw.proposals[:, :, None].expand_as(raw.deltas), WEIGHTS)
        return raw.scores.transpose(1, 2), boxes.transpose(1, 2)


class Sampling(NamedTuple):
    """Some RoIs of a picture carry the detector's loss (Fast R-CNN, section 2.3).

    A RoI answers for its best object from `positive_iou` on, and is background where its best IoU is in
    `background_iou` `[low, high)`; `num_rois` are drawn, `positive_share` of them positives if there are so many: of
    each picture, or of all pictures of a batch `together` (R-CNN, section 2.3).
    """

    num_rois: int = 512
    positive_share: float = 0.25
    positive_iou: float = 0.5
    background_iou: tuple[float, float] = (0.0, 0.5)
    together: bool = False


class Sampled(NamedTuple):
    """The sampled RoIs of one picture have labels, and rows: those of the objects that they answer for."""

    boxes: Float[Tensor, "r 4"]
    labels: Int64[Tensor, " r"]
    rows: Int64[Tensor, " r"]

    def picked(self, which: Bool[Tensor, " r"] | Int64[Tensor, " s"]) -> "Sampled":
        """Keep the RoIs `which` are marked, or of these rows."""
        return Sampled(*(value[which] for value in self))


class TwoStageDetector(Model[TwoStageRaw, Rows]):
    """A two-stage detector proposes where to look, and says what is there.

    Without `pyramid` the RoI features look at pixels alone. The proposer is a network on the pyramid's levels (`RPN`),
    or a `Search` that runs before, whose boxes are an input. Masks and keypoints are looked for in the boxes that were
    found, by their `object_features`; keypoints in those of `keypoint_classes` alone, a buffer.
    """

    keypoint_classes: Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        pyramid: Pyramid | None,
        proposer: RPN | Search,
        roi_features: RoIWarp | PooledFeatures,
        box_head: BoxHead,
        object_features: PooledFeatures | None = None,
        mask_head: MaskHead | None = None,
        keypoint_head: KeypointHead | None = None,
        sampling: Sampling,
        classifier: Literal["softmax", "svm"] = "softmax",
        thresholds: Thresholds,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.pyramid = pyramid
        self.proposer = proposer if isinstance(proposer, RPN) else None
        self.search = None if isinstance(proposer, RPN) else proposer
        self.most_objects = proposer.when_testing.after_nms if isinstance(proposer, RPN) else None
        self.roi_features, self.box_head = roi_features, box_head
        self.object_features, self.mask_head, self.keypoint_head = object_features, mask_head, keypoint_head
        self.sampling, self.classifier, self.reader = sampling, classifier, TwoStageReader(thresholds=thresholds)
        self.compare = ClassLoss(num_classes)
        self.register_buffer("keypoint_classes", torch.zeros(num_classes, dtype=torch.bool))

    def levels(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        """Compute the feature maps that proposer and heads share; none without a pyramid."""
        return () if self.pyramid is None else self.pyramid(images)

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> TwoStageRaw:
        """Score and move every proposal; those that are given take the place of the RPN's."""
        levels = self.levels(images)
        if proposals is None:
            proposals = self.propose(levels, (images.shape[-2], images.shape[-1]))
        logits, deltas = self.box_head(self.roi_features(images, levels, numbered(proposals)))
        real = (proposals[..., 2] > proposals[..., 0])[..., None]
        scores = self.box_head.probabilities(logits).view(*proposals.shape[:2], self.num_classes).where(real, NONE)
        return TwoStageRaw(proposals, scores, deltas.view(*proposals.shape[:2], *deltas.shape[1:]), levels)

    def propose(self, levels: Sequence[Tensor], size: tuple[int, int]) -> Float[Tensor, "b p 4"]:
        """Let the RPN propose boxes in pictures of `size`."""
        assert self.proposer is not None, "a system with a search takes proposals as an input"
        proposals: Tensor = self.proposer(levels, size)
        return proposals

    def extend(self, raw: TwoStageRaw, outputs: Rows) -> Rows:
        """Add the mask probabilities and the heatmaps of the rows; those of classes without keypoints are flat."""
        if self.object_features is None:
            return outputs
        features = self.object_features.pooled(raw.levels, numbered(outputs.boxes))
        if self.mask_head is not None:
            masks = self.mask_head.masks(features, outputs.labels.flatten())
            outputs = outputs._replace(masks=masks.view(*outputs.labels.shape, *masks.shape[1:]))
        if self.keypoint_head is not None:
            posed = self.keypoint_classes[outputs.labels]
            heatmaps = self.keypoint_head(features).float().unflatten(0, posed.shape)
            outputs = outputs._replace(heatmaps=heatmaps.where(posed[..., None, None, None], 0.0), posed=posed)
        return outputs

    def named_layers(self) -> Mapping[str, Named]:
        """Each head has outputs a class, or a keypoint; the box head's deltas are four of each class."""
        classes = range(self.num_classes)
        layers = {
            "box_head.classify": Named([*classes, SHARED]),
            "box_head.regress": Named([label for label in classes for _ in range(4)]),
        }
        if self.mask_head is not None:
            layers["mask_head.classify"] = Named(classes)
        if self.keypoint_head is not None:
            layers["keypoint_head.enlarge"] = Named(range(self.keypoint_head.enlarge.out_channels), of="keypoint")
        return layers

    def begin(self, pictures: TrainingPictures) -> Sequence[str]:
        """Take the classes that have keypoints: of the others none are given."""
        if self.keypoint_head is not None:
            self.keypoint_classes.copy_(pictures.keypoint_classes())
        return ()

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Add the RPN's losses, `class` and `box` of sampled RoIs, and `mask` and `keypoint` of those of objects.

        There is no `box` where boxes are fitted afterwards, or stay where they are.
        """
        images, proposals = inputs
        levels = self.levels(images)
        losses: dict[str, Tensor] = {}
        if self.proposer is not None:
            proposals, losses = self.proposer.loss(levels, (images.shape[-2], images.shape[-1]), truths)
        assert proposals is not None, "a system with a search takes proposals as an input"
        sampled = self.sample(list(proposals), truths)
        rois = numbered_list([picture.boxes for picture in sampled])
        labels = torch.cat([picture.labels for picture in sampled])
        outputs = self.box_head(self.roi_features(images, levels, rois))
        losses["class"] = class_loss(outputs.logits, labels, self.compare)
        if self.box_head.boxes_from == "features":
            objects = torch.cat([_rows(truth.boxes, rois.rows) for truth, rois in zip(truths, sampled, strict=True)])
            losses["box"] = box_loss(outputs, labels, rois[:, 1:], objects)
        positives = [picture.picked(picture.labels != self.num_classes) for picture in sampled]
        return {**losses, **self._object_losses(levels, positives, truths)}

    @torch.no_grad()
    def sample(self, proposals: Sequence[Float[Tensor, "_p 4"]], truths: Sequence[Truth]) -> list[Sampled]:
        """Draw the RoIs of each picture that are learned from; the objects themselves are among the candidates."""
        candidates = [self._candidates(boxes, truth) for boxes, truth in zip(proposals, truths, strict=True)]
        groups = [candidates] if self.sampling.together else [[picture] for picture in candidates]
        return [sampled for group in groups for sampled in self._drawn(group)]

    def _candidates(self, proposals: Float[Tensor, "p 4"], truth: Truth) -> tuple[Sampled, Matches]:
        boxes = torch.cat([proposals, truth.boxes.to(proposals)])
        # where there is no object, no background is nearly one: any is learned from
        low, high = self.sampling.background_iou
        matches = match(
            boxes,
            truth,
            positive_iou=self.sampling.positive_iou,
            negative_iou=(low if len(truth.boxes) else 0.0, high),
            valid=boxes[:, 2] > boxes[:, 0],
        )
        labels = _rows(truth.labels, matches.rows).where(matches.positive, self.num_classes)
        return Sampled(boxes, labels, matches.rows), matches

    def _drawn(self, group: Sequence[tuple[Sampled, Matches]]) -> Iterator[Sampled]:
        """Draw `num_rois` of the candidates of a group of pictures."""
        drawn = sample_balanced(
            torch.cat([matches.positive for _, matches in group]),
            torch.cat([matches.negative for _, matches in group]),
            count=self.sampling.num_rois,
            positive_share=self.sampling.positive_share,
        )
        rows, first = torch.cat(drawn).sort().values, 0
        for candidates, _ in group:
            after = first + len(candidates.boxes)
            own = rows if len(group) == 1 else rows[(rows >= first) & (rows < after)] - first
            yield candidates.picked(own)
            first = after

    def _object_losses(
        self, levels: Sequence[Tensor], positives: Sequence[Sampled], truths: Sequence[Truth]
    ) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        if self.object_features is None:
            return losses
        pictures = list(zip(positives, truths, strict=True))
        if self.mask_head is not None:
            rois = numbered_list([picture.boxes for picture in positives])
            logits = self.mask_head(self.object_features.pooled(levels, rois))
            labels = torch.cat([picture.labels for picture in positives])
            masks = [mask_targets(rois.boxes, rois.rows, truth, logits.shape[-1]) for rois, truth in pictures]
            losses["mask"] = mask_loss(logits, labels, torch.cat(masks))
        if self.keypoint_head is not None:
            side = 4 * self.object_features.size
            targets = [self.keypoint_head.targets(rois.boxes, rois.rows, truth, side) for rois, truth in pictures]
            boxes, cells, counted = zip(*targets, strict=True)
            heatmaps = self.keypoint_head(self.object_features.pooled(levels, numbered_list(boxes)))
            losses["keypoint"] = keypoint_loss(heatmaps, torch.cat(cells), torch.cat(counted))
        return losses

    def capacity(self, pictures: Sequence[Float[Tensor, "_n 4"]]) -> Capacity | None:
        """Objects that are given to it by a search have no need of anchors."""
        return None if self.proposer is None else self.proposer.capacity(self.levels)

    @property
    def fits(self) -> bool:
        return self.classifier == "svm"

    def fit(self, batches: Batches, folder: Path, say: Say) -> None:
        """Fit SVMs and a ridge regression of boxes to the features that the box head has learned (svm.py)."""
        fit_box_head(self.box_head, self.describe, batches, folder, say)

    def learned(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        return {key: value for key, value in weights.items() if not (self.fits and key.startswith(BoxHead.FITTED))}

    def describe(self, inputs: Inputs, truths: Sequence[Truth]) -> Iterator[Described]:
        """Compute what is seen of each picture's proposals, and after them of its objects, picture by picture."""
        images, proposals = inputs
        with torch.no_grad():
            levels = self.levels(images)
            if proposals is None:
                proposals = self.propose(levels, (images.shape[-2], images.shape[-1]))
        for number, truth in enumerate(truths):
            own = slice(number, number + 1)
            yield self._described(images[own], [level[own] for level in levels], proposals[number], truth)

    @torch.no_grad()
    def _described(
        self, images: Float[Tensor, "1 3 h w"], levels: Sequence[Tensor], proposals: Float[Tensor, "p 4"], truth: Truth
    ) -> Described:
        real = proposals[proposals[:, 2] > proposals[:, 0]]
        rois = numbered_list([torch.cat([real, truth.boxes])])
        features, maps = self.box_head.describe(self.roi_features(images, levels, rois))
        return Described(real, features.float(), None if maps is None else maps[: len(real)].float())


def _rows(values: Tensor, rows: Tensor) -> Tensor:
    """Take `values[rows]`, or zeros where there are no values, and so nothing is answered for."""
    return values[rows] if len(values) else values.new_zeros(len(rows), *values.shape[1:])
