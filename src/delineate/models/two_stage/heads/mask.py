"""The mask of each object in its box: He, Gkioxari, Dollar, Girshick 2017, "Mask R-CNN", section 3.

    RoI features 14x14 ─ 4 x (3x3 conv) ─ transposed conv ─ 28x28 ─ 1x1 conv ─ one mask a class

N  RoIs of objects    C  classes    M  side of a mask, 28
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align


class MaskHead(nn.Module):
    """RoI features `(N, channels, 14, 14)` to mask logits `(N, C, 28, 28)`: each class has its own."""

    def __init__(self, *, channels: int, num_classes: int, width: int = 256, depth: int = 4) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels if i == 0 else width, width, 3, padding=1) for i in range(depth))
        self.enlarge = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.classify = nn.Conv2d(width, num_classes, 1)
        for layer in (*self.convs, self.enlarge, self.classify):
            assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, rois: Float[Tensor, "n i s s2"]) -> Float[Tensor, "n c m m2"]:
        x = rois
        for conv in self.convs:
            x = F.relu(conv(x))
        logits: Tensor = self.classify(F.relu(self.enlarge(x)))
        return logits

    def masks(self, rois: Float[Tensor, "n i s s2"], labels: Int64[Tensor, " n"]) -> Float[Tensor, "n m m2"]:
        """The probabilities of the mask of each RoI's class."""
        logits = self(rois).float()
        return _of_class(logits, labels).sigmoid()


def mask_loss(
    logits: Float[Tensor, "n c m m2"],
    labels: Int64[Tensor, " n"],
    rois: Sequence[Float[Tensor, "_n 4"]],
    rows: Sequence[Int64[Tensor, " _n"]],
    masks: Sequence[Bool[Tensor, "_o _h _w"]],
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy of the mask of the true class (section 3); 0 without objects.

    Of each picture: its RoIs, the row of the object that each answers for, and the objects' masks, whose part in the
    RoI, resampled, is the target.
    """
    if not len(labels):
        return logits.float().sum() * 0
    targets = []
    for boxes, objects, masks_of_picture in zip(rois, rows, masks, strict=True):
        if len(boxes):
            numbered = torch.cat([objects[:, None].to(boxes), boxes], 1)
            targets.append(roi_align(masks_of_picture[:, None].to(boxes), numbered, logits.shape[-1])[:, 0])
    return F.binary_cross_entropy_with_logits(_of_class(logits, labels).float(), torch.cat(targets))


def _of_class(logits: Float[Tensor, "n c m m2"], labels: Int64[Tensor, " n"]) -> Float[Tensor, "n m m2"]:
    """The mask of each RoI's class."""
    return logits.gather(1, labels[:, None, None, None].expand(-1, 1, *logits.shape[2:]))[:, 0]
