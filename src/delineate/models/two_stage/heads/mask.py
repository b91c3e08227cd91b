"""A head finds the mask of each object in its box: He, Gkioxari, Dollar, Girshick 2017, "Mask R-CNN", section 3.

    RoI features 14x14 ─ 4 x (3x3 conv) ─ transposed conv ─ 28x28 ─ 1x1 conv ─ one mask a class

N  RoIs of objects    C  classes    M  side of a mask, 28
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from delineate.nn.blocks import initialise, kaiming_fan_out
from delineate.values import Truth


class MaskHead(nn.Module):
    """RoI features `(N, channels, 14, 14)` become mask logits `(N, C, 28, 28)`: each class has its own."""

    def __init__(self, *, channels: int, num_classes: int, width: int = 256, depth: int = 4) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels if i == 0 else width, width, 3, padding=1) for i in range(depth))
        self.enlarge = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.classify = nn.Conv2d(width, num_classes, 1)
        initialise((*self.convs, self.enlarge, self.classify), kaiming_fan_out)

    def forward(self, rois: Float[Tensor, "n i s s2"]) -> Float[Tensor, "n c m m2"]:
        x = rois
        for conv in self.convs:
            x = F.relu(conv(x))
        logits: Tensor = self.classify(F.relu(self.enlarge(x)))
        return logits

    def masks(self, rois: Float[Tensor, "n i s s2"], labels: Int64[Tensor, " n"]) -> Float[Tensor, "n m m2"]:
        """Compute the probabilities of the mask of each RoI's class."""
        return _of_class(self(rois).float(), labels).sigmoid()


def mask_targets(
    boxes: Float[Tensor, "n 4"], rows: Int64[Tensor, " n"], truth: Truth, side: int
) -> Float[Tensor, "n m m2"]:
    """Resample the part in each RoI of the mask of the object in `rows` that it answers for."""
    if not len(boxes):  # a picture without objects may come without masks
        return boxes.new_zeros(0, side, side)
    assert truth.masks is not None, "a system with a mask head trains on masks"
    masks: Tensor = roi_align(truth.masks[:, None].to(boxes), torch.cat([rows[:, None].to(boxes), boxes], 1), side)
    return masks[:, 0]


def mask_loss(
    logits: Float[Tensor, "n c m m2"], labels: Int64[Tensor, " n"], targets: Float[Tensor, "n m m2"]
) -> Float[Tensor, ""]:
    """Average the binary cross-entropy of the mask of the true class (section 3); it is 0 without objects."""
    if not len(labels):
        return logits.float().sum() * 0
    return F.binary_cross_entropy_with_logits(_of_class(logits, labels).float(), targets)


def _of_class(logits: Float[Tensor, "n c m m2"], labels: Int64[Tensor, " n"]) -> Float[Tensor, "n m m2"]:
    return logits.gather(1, labels[:, None, None, None].expand(-1, 1, *logits.shape[2:]))[:, 0]
