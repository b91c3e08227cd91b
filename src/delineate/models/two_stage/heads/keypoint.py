"""A head finds each keypoint of an object in its box: He et al. 2017, "Mask R-CNN", section 5.

    RoI features 14x14 ─ 8 x (3x3 conv, 512) ─ transposed conv ─ 28x28 ─ bilinear ─ 56x56 heatmaps, one a keypoint

N  RoIs of objects    K  keypoints
"""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.nn.blocks import initialise, kaiming_fan_out
from delineate.ops.keypoints import keypoint_cells
from delineate.values import Truth


class KeypointTargets(NamedTuple):
    """RoIs of objects with keypoints have a cell for each keypoint in its heatmap, and whether it counts."""

    rois: Float[Tensor, "n 4"]
    cells: Int64[Tensor, "n k"]
    counted: Bool[Tensor, "n k"]


class KeypointHead(nn.Module):
    """RoI features `(N, channels, 14, 14)` become heatmaps `(N, K, 56, 56)`: logits of one softmax over all places."""

    def __init__(self, *, channels: int, num_keypoints: int, width: int = 512, depth: int = 8) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels if i == 0 else width, width, 3, padding=1) for i in range(depth))
        self.enlarge = nn.ConvTranspose2d(width, num_keypoints, 4, stride=2, padding=1)
        initialise((*self.convs, self.enlarge), kaiming_fan_out)

    def forward(self, rois: Float[Tensor, "n i s s2"]) -> Float[Tensor, "n k t t2"]:
        x = rois
        for conv in self.convs:
            x = F.relu(conv(x))
        return F.interpolate(self.enlarge(x), scale_factor=2.0, mode="bilinear", align_corners=False)

    def targets(
        self, boxes: Float[Tensor, "r 4"], rows: Int64[Tensor, " r"], truth: Truth, side: int
    ) -> KeypointTargets:
        """Find the cells in heatmaps of `side` for RoIs that answer for `rows`; those without keypoints go."""
        if truth.keypoints is None or truth.visibility is None:
            assert not len(truth.boxes), "a system with a keypoint head trains on keypoints"
            none = rows.new_zeros(0, self.enlarge.out_channels)
            return KeypointTargets(boxes[:0], none, none.bool())
        posed = (truth.visibility > 0).any(1)[rows]
        rois, rows = boxes[posed], rows[posed]
        return KeypointTargets(rois, *keypoint_cells(truth.keypoints[rows], truth.visibility[rows], rois, side))


def keypoint_loss(
    heatmaps: Float[Tensor, "n k t t2"], cells: Int64[Tensor, "n k"], counted: Bool[Tensor, "n k"]
) -> Float[Tensor, ""]:
    """Average the cross-entropy over the places of each keypoint that counts (section 5); it is 0 where none does."""
    logits = heatmaps.float().flatten(2)[counted]
    if not len(logits):
        return heatmaps.float().sum() * 0
    return F.cross_entropy(logits, cells[counted])
