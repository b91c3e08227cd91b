"""A sliding window segments: a classifier sees one patch at a time and says the class of its centre.

After Farabet et al. 2013, "Learning hierarchical features for scene labeling", and, for the fully
convolutional form of the same network, Sermanet et al. 2014, "OverFeat", section 3.5: neighbouring windows overlap, so
almost all of what they compute is shared.

    patch 32 ─ conv5 ─ 28 ─ pool ─ 14 ─ conv5 ─ 10 ─ pool ─ 5 ─ fully connected (a 5x5 convolution) ─ 1 ─ class

No convolution is padded: only so is a window's score the same whatever lies around it, and the two forms are equal.

Where it deviates: there is one scale, and a window every 4 pixels, with scores between them interpolated. The point is
the equality of the two forms, which holds in evaluation; in training batch normalisation sees windows or pictures.
"""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Doc

from delineate.models.segmentation.options import Dice
from delineate.models.segmentation.segmenter import Segmenter
from delineate.nn.blocks import cropped, num_cells
from delineate.ops import upsampling

PATCH, STRIDE = 32, 4


class SlidingWindowNetwork(nn.Module):
    """Pictures `(B, 3, H, W)` become logits `(B, num_classes, H, W)`, from windows of 32 pixels, one every 4 pixels.

    Between the windows' centres, logits are interpolated. With `fully_convolutional` the classifier runs once over the
    picture, else once at every window. In evaluation mode the scores are the same; in training, batch normalisation
    sees every pixel once, or as often as windows overlap it. What is exported runs once.
    """

    def __init__(self, *, classifier: nn.Module, fully_convolutional: bool) -> None:
        super().__init__()
        self.classifier = classifier
        self.fully_convolutional = fully_convolutional
        self.calls_vary = not fully_convolutional  # larger pictures have more chunks of windows

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        padded = _surround(images)
        once = self.fully_convolutional or torch.compiler.is_exporting()  # a graph has no number of chunks
        scores = self.classifier(padded) if once else self.window_scores(padded)
        return cropped(upsampling.bilinear(scores, STRIDE), (images.shape[-2], images.shape[-1]))

    def window_scores(self, padded: Float[Tensor, "b 3 h w"], chunk: int = 1024) -> Float[Tensor, "b c n m"]:
        """Compute the classifier's scores at every window, `chunk` windows at a time."""
        windows = padded.unfold(2, PATCH, STRIDE).unfold(3, PATCH, STRIDE).permute(0, 2, 3, 1, 4, 5)
        batch, rows, columns = windows.shape[:3]
        # a chunk is copied out of the overlapping view when its turn comes: all windows at once are 64 pictures' worth
        places = torch.cartesian_prod(torch.arange(batch), torch.arange(rows), torch.arange(columns))
        scores = [self.classifier(windows[part.unbind(1)]) for part in torch.split(places, chunk)]
        return torch.cat(scores).view(batch, rows, columns, -1).permute(0, 3, 1, 2)


def patch_classifier(num_classes: int, width: int) -> nn.Sequential:
    """Build what scores patches of 32 x 32 `(B, num_classes, 1, 1)`, and larger pictures every 4 pixels."""
    return nn.Sequential(
        nn.Conv2d(3, width, 5),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 5),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(2 * width, 4 * width, 5),
        nn.ReLU(inplace=True),
        nn.Conv2d(4 * width, num_classes, 1),
    )


def sliding_window_segmenter(
    *,
    num_classes: int,
    width: Annotated[int, Doc("Channels of the first convolution; the later ones have 2 and 4 times as many.")] = 32,
    fully_convolutional: Annotated[bool, Doc("Run once over the picture, or window by window.")] = True,
    dice: Dice = 0.0,
) -> Segmenter:
    """Build a patch classifier that runs at every window, or once over the picture as a convolutional network."""
    network = SlidingWindowNetwork(
        classifier=patch_classifier(num_classes, width), fully_convolutional=fully_convolutional
    )
    return Segmenter(network=network, num_classes=num_classes, dice_weight=dice)


def _surround(images: Tensor) -> Tensor:
    """Pad by the border's pixels, such that the windows' centres are those of the 4x4 cells that tile the picture."""
    before = (PATCH - STRIDE) // 2
    height, width = images.shape[-2:]
    below, right = ((num_cells(side, STRIDE) - 1) * STRIDE + PATCH - before - side for side in (height, width))
    return F.pad(images, (before, right, before, below), mode="replicate")
