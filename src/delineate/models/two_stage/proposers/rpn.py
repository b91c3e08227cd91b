"""Region proposal network: Ren, He, Girshick, Sun 2015, "Faster R-CNN", section 3.1; on a pyramid: Lin et al. 2017.

    level ─► 3x3 conv ─┬─► 1x1 ─► objectness (A a place)
                       └─► 1x1 ─► deltas (4 A a place) ─► anchors moved ─► NMS ─► proposals

B  pictures    A  anchors a place    N  anchors of a level, row by row    L  levels    P  proposals of a picture
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.capacity import Capacity, capacity_of_anchors
from delineate.nn.blocks import initialise
from delineate.nn.matching import match
from delineate.nn.sampling import sample_balanced
from delineate.ops.anchors import base_anchors, grid_anchors
from delineate.ops.boxes import decode_boxes, encode_boxes
from delineate.ops.nms import NONE, best, clip, keep_best
from delineate.values import Truth

WEIGHTS = (1.0, 1.0, 1.0, 1.0)
POSITIVE_IOU, NEGATIVE_IOU = 0.7, 0.3
SMOOTHNESS = 1 / 9
SMALLEST_SIDE = 1e-3
ASPECT_RATIOS = (0.5, 1.0, 2.0)
SAMPLED = 256


class Selection(NamedTuple):
    """So many boxes of a level go through NMS, and so many of a picture come out of it."""

    before_nms: int
    after_nms: int


TRAINING, TESTING = Selection(2000, 2000), Selection(1000, 1000)


class RPN(nn.Module):
    """It scores and moves anchors of `sizes[i]` (pixels) at level `i` in all `ASPECT_RATIOS`; NMS thins them out.

    Anchors that cross the picture's border are learned from where `crossing`, as in torchvision; else, as in the paper
    (section 3.1.3), in such small pictures alone as hold no whole anchor.
    """

    def __init__(
        self,
        *,
        channels: int,
        finest_stride: int,
        sizes: Sequence[Sequence[float]],
        training: Selection = TRAINING,
        testing: Selection = TESTING,
        nms_threshold: float = 0.7,
        crossing: bool = True,
    ) -> None:
        super().__init__()
        self.finest_stride = finest_stride
        self.sizes = tuple(tuple(level) for level in sizes)
        self.when_training, self.when_testing = training, testing
        self.nms_threshold, self.crossing = nms_threshold, crossing
        num_anchors = len(self.sizes[0]) * len(ASPECT_RATIOS)
        assert all(len(level) == len(self.sizes[0]) for level in self.sizes), "every level has as many anchors a place"
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, num_anchors, 1)
        self.deltas = nn.Conv2d(channels, 4 * num_anchors, 1)
        initialise((self.conv, self.objectness, self.deltas), partial(nn.init.normal_, std=0.01))

    def forward(self, levels: Sequence[Tensor], size: tuple[int, int]) -> Float[Tensor, "b p 4"]:
        """Propose boxes in pictures of `size`, the likeliest first, and boxes of zeros where there are fewer."""
        objectness, deltas = self.scores(levels)
        return self.select(objectness, deltas, self.anchors(levels), size, self.when_testing)

    def scores(self, levels: Sequence[Tensor]) -> tuple[list[Float[Tensor, "b _n"]], list[Float[Tensor, "b _n 4"]]]:
        """Compute objectness and deltas of every anchor, a level an entry."""
        hidden = [F.relu(self.conv(level), inplace=True) for level in levels]
        objectness = [self.objectness(x).permute(0, 2, 3, 1).flatten(1) for x in hidden]
        deltas = [self.deltas(x).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4)) for x in hidden]
        return objectness, deltas

    def anchors(self, levels: Sequence[Tensor]) -> list[Float[Tensor, "_n 4"]]:
        """Make the anchors of each level; its stride is what its grid makes of the padded picture (`Pyramid`)."""
        # the finest level's strides are exact, and so tell the padded picture's size
        height, width = (side * self.finest_stride for side in levels[0].shape[-2:])
        anchors = []
        for level, sizes in zip(levels, self.sizes, strict=True):
            rows, columns = level.shape[-2:]
            base = base_anchors(sizes, ASPECT_RATIOS).to(level.device)
            anchors.append(grid_anchors(base, (rows, columns), (height // rows, width // columns)))
        return anchors

    def capacity(self, levels: Callable[[Float[Tensor, "b 3 h w"]], Sequence[Tensor]]) -> Capacity:
        """Tell which objects no anchor of the `levels` of pictures overlaps so that it is no negative."""
        return capacity_of_anchors(
            lambda size: torch.cat(self.anchors(levels(torch.zeros(1, 3, *size)))),
            NEGATIVE_IOU,
            "no anchor overlaps it by 0.3",
        )

    def select(
        self,
        objectness: Sequence[Float[Tensor, "b _n"]],
        deltas: Sequence[Float[Tensor, "b _n 4"]],
        anchors: Sequence[Float[Tensor, "_n 4"]],
        size: tuple[int, int],
        selection: Selection,
    ) -> Float[Tensor, "b p 4"]:
        """Move the best anchors of each level, cut them at the picture's borders, and thin them out level by level."""
        candidates = [
            _candidates(logits.detach().float(), moves.detach(), level, selection.before_nms)
            for logits, moves, level in zip(objectness, deltas, anchors, strict=True)
        ]
        scores, boxes = (torch.stack(values, 1) for values in zip(*candidates, strict=True))
        boxes = clip(boxes, size)
        scores = scores.where(((boxes[..., 2:] - boxes[..., :2]) >= SMALLEST_SIDE).all(-1), NONE)
        kept = keep_best(boxes, scores, self.nms_threshold, selection.after_nms)
        scores, boxes = best(scores.where(kept, NONE).flatten(1), boxes.flatten(1, 2), selection.after_nms)
        return boxes.where((scores >= 0)[..., None], 0.0)

    def loss(
        self, levels: Sequence[Tensor], size: tuple[int, int], truths: Sequence[Truth]
    ) -> tuple[Float[Tensor, "b p 4"], dict[str, Tensor]]:
        """Propose the boxes to train the detector on, and compute the losses (Faster R-CNN, equation 1).

        These are the log loss of objectness and smooth L1 of the deltas of positive anchors.
        """
        objectness, deltas = self.scores(levels)
        anchors = self.anchors(levels)
        proposals = self.select(objectness, deltas, anchors, size, self.when_training)
        logits, moves, boxes = torch.cat(objectness, 1).float(), torch.cat(deltas, 1).float(), torch.cat(anchors)
        valid = None if self.crossing else _whole(boxes, size)
        sampled_logits, sampled_labels, predicted, targets = [], [], [], []
        for picture, truth in enumerate(truths):
            matches = match(
                boxes,
                truth,
                positive_iou=POSITIVE_IOU,
                negative_iou=(0.0, NEGATIVE_IOU),
                best_for_each=True,
                valid=valid,
            )
            positives, negatives = sample_balanced(
                matches.positive, matches.negative, count=SAMPLED, positive_share=0.5
            )
            sampled_logits += [logits[picture, positives], logits[picture, negatives]]
            sampled_labels += [torch.ones_like(sampled_logits[-2]), torch.zeros_like(sampled_logits[-1])]
            predicted.append(moves[picture, positives])
            targets.append(encode_boxes(truth.boxes[matches.rows[positives]], boxes[positives], WEIGHTS))
        labels = torch.cat(sampled_labels)
        count = max(1, len(labels))
        cross_entropy = F.binary_cross_entropy_with_logits(torch.cat(sampled_logits), labels, reduction="sum")
        smooth = F.smooth_l1_loss(torch.cat(predicted), torch.cat(targets), beta=SMOOTHNESS, reduction="sum")
        return proposals, {"objectness": cross_entropy / count, "rpn_box": smooth / count}


def _whole(anchors: Float[Tensor, "n 4"], size: tuple[int, int]) -> Bool[Tensor, " n"]:
    """Tell which anchors lie within a picture of `(height, width)`; all are marked where none does."""
    whole = (anchors == clip(anchors, size)).all(1)
    return whole | ~whole.any()


def _candidates(
    logits: Float[Tensor, "b n"], deltas: Float[Tensor, "b n 4"], anchors: Float[Tensor, "n 4"], count: int
) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m 4"]]:
    """Score and move a level's best anchors; `NONE` is the score where there are not so many.

    Scores are in 0..1 and in the order of the logits: a sigmoid would make equals of the highest, and rounding choose.
    """
    highest, rows = F.pad(logits, (0, count), value=-torch.inf).topk(count)
    moves = F.pad(deltas, (0, 0, 0, count)).gather(1, rows[..., None].expand(-1, -1, 4))
    references = F.pad(anchors, (0, 0, 0, count))[rows]
    boxes = decode_boxes(moves.flatten(0, 1), references.flatten(0, 1), WEIGHTS).view_as(references)
    return (0.5 + 0.5 * F.softsign(highest)).where(highest > -torch.inf, NONE), boxes
