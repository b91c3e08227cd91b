"""Region proposal network: Ren, He, Girshick, Sun 2015, "Faster R-CNN", section 3.1; on a pyramid: Lin et al. 2017.

    level ─► 3x3 conv ─┬─► 1x1 ─► objectness (A a place)
                       └─► 1x1 ─► deltas (4 A a place) ─► anchors moved ─► NMS ─► proposals

B  pictures    A  anchors a place    N  anchors of all levels of one picture, level by level, row by row
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms, clip_boxes_to_image

from delineate.models.two_stage.proposers.contract import Levels, Proposer
from delineate.nn.matching import match, objects_of
from delineate.nn.sampling import sample_balanced
from delineate.ops.anchors import base_anchors, grid_anchors
from delineate.ops.boxes import decode_boxes, encode_boxes
from delineate.values import Proposals, Target

WEIGHTS = (1.0, 1.0, 1.0, 1.0)
SMOOTHNESS = 1 / 9
SMALLEST_SIDE = 1e-3


class Selection(NamedTuple):
    """How many boxes of a level go through NMS, and how many of a picture come out of it."""

    before_nms: int
    after_nms: int


TRAINING, TESTING = Selection(2000, 2000), Selection(1000, 1000)


class RPN(Proposer):
    """Anchors of `sizes[i]` (pixels) at level `i` in all `aspect_ratios`, scored, moved, and thinned out by NMS."""

    def __init__(
        self,
        *,
        channels: int,
        finest_stride: int,
        sizes: Sequence[Sequence[float]],
        aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
        training: Selection = TRAINING,
        testing: Selection = TESTING,
        nms_threshold: float = 0.7,
        num_sampled: int = 256,
    ) -> None:
        super().__init__()
        self.finest_stride = finest_stride
        self.sizes, self.aspect_ratios = tuple(tuple(level) for level in sizes), tuple(aspect_ratios)
        self.when_training, self.when_testing = training, testing
        self.nms_threshold, self.num_sampled = nms_threshold, num_sampled
        num_anchors = len(self.sizes[0]) * len(self.aspect_ratios)
        assert all(len(level) == len(self.sizes[0]) for level in self.sizes), "every level has as many anchors a place"
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, num_anchors, 1)
        self.deltas = nn.Conv2d(channels, 4 * num_anchors, 1)
        for conv in (self.conv, self.objectness, self.deltas):
            assert conv.bias is not None
            nn.init.normal_(conv.weight, std=0.01)
            nn.init.zeros_(conv.bias)

    def forward(self, images: Float[Tensor, "b 3 h w"], levels: Levels) -> list[Proposals]:
        objectness, deltas = self.scores(levels)
        anchors = self.anchors(levels)
        return self.select(objectness, deltas, anchors, (images.shape[-2], images.shape[-1]), self.when_testing)

    def scores(self, levels: Levels) -> tuple[list[Float[Tensor, "b _n"]], list[Float[Tensor, "b _n 4"]]]:
        """Objectness and deltas of every anchor, a level an entry."""
        objectness, deltas = [], []
        for level in levels:
            hidden = F.relu(self.conv(level))
            batch = len(level)
            objectness.append(self.objectness(hidden).permute(0, 2, 3, 1).reshape(batch, -1))
            deltas.append(self.deltas(hidden).permute(0, 2, 3, 1).reshape(batch, -1, 4))
        return objectness, deltas

    def anchors(self, levels: Levels) -> list[Float[Tensor, "_n 4"]]:
        """The anchors of each level; its stride is what its grid makes of the padded picture (`Pyramid`)."""
        # the finest level's strides are exact, and so tell the padded picture's size
        height, width = (side * self.finest_stride for side in levels[0].shape[-2:])
        anchors = []
        for level, sizes in zip(levels, self.sizes, strict=True):
            rows, columns = level.shape[-2:]
            base = base_anchors(sizes, self.aspect_ratios).to(level.device)
            anchors.append(grid_anchors(base, (rows, columns), (float(height // rows), float(width // columns))))
        return anchors

    @torch.no_grad()
    def select(
        self,
        objectness: Sequence[Float[Tensor, "b _n"]],
        deltas: Sequence[Float[Tensor, "b _n 4"]],
        anchors: Sequence[Float[Tensor, "_n 4"]],
        image_size: tuple[int, int],
        selection: Selection,
    ) -> list[Proposals]:
        """The best anchors of each level moved, cut at the picture's borders, and thinned out level by level."""
        results = []
        for picture in range(len(objectness[0])):
            boxes, scores, places = [], [], []
            for number, (logits, moves, level) in enumerate(zip(objectness, deltas, anchors, strict=True)):
                best, rows = logits[picture].float().topk(min(selection.before_nms, len(level)))
                boxes.append(decode_boxes(moves[picture][rows], level[rows], WEIGHTS))
                scores.append(best.sigmoid())
                places.append(torch.full_like(rows, number))
            found = clip_boxes_to_image(torch.cat(boxes), image_size)
            score, place = torch.cat(scores), torch.cat(places)
            large = ((found[:, 2:] - found[:, :2]) >= SMALLEST_SIDE).all(1)
            found, score, place = found[large], score[large], place[large]
            kept = batched_nms(found, score, place, self.nms_threshold)[: selection.after_nms]
            results.append(Proposals(image_size=image_size, boxes=found[kept], scores=score[kept]))
        return results

    def loss(
        self, images: Float[Tensor, "b 3 h w"], levels: Levels, targets: Sequence[Target]
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Faster R-CNN, equation 1: log loss of objectness, smooth L1 of the deltas of positive anchors."""
        objectness, deltas = self.scores(levels)
        anchors = self.anchors(levels)
        size = (images.shape[-2], images.shape[-1])
        proposals = self.select(objectness, deltas, anchors, size, self.when_training)
        logits, moves, boxes = torch.cat(objectness, 1).float(), torch.cat(deltas, 1).float(), torch.cat(anchors)
        sampled_logits, sampled_labels, moved, wanted = [], [], [], []
        for picture, target in enumerate(targets):
            matches = match(boxes, target, positive_iou=0.7, negative_iou=(0.0, 0.3), best_for_each=True)
            positives, negatives = sample_balanced(
                matches.positive, matches.negative, count=self.num_sampled, positive_share=0.5
            )
            sampled_logits += [logits[picture, positives], logits[picture, negatives]]
            sampled_labels += [torch.ones_like(sampled_logits[-2]), torch.zeros_like(sampled_logits[-1])]
            objects = objects_of(target).boxes.to(boxes.device)
            moved.append(moves[picture, positives])
            wanted.append(encode_boxes(objects[matches.rows[positives]], boxes[positives], WEIGHTS))
        count = max(1, sum(len(sample) for sample in sampled_labels))
        labels = torch.cat(sampled_labels)
        cross_entropy = F.binary_cross_entropy_with_logits(torch.cat(sampled_logits), labels, reduction="sum")
        smooth = F.smooth_l1_loss(torch.cat(moved), torch.cat(wanted), beta=SMOOTHNESS, reduction="sum")
        losses = {"objectness": cross_entropy / count, "rpn_box": smooth / count}
        return [found.boxes for found in proposals], losses
