"""Where to look: every proposer gives boxes of a picture that may hold an object.

sliding window     every place, size and shape; the picture is not looked at
selective search   segments of the picture, grouped by what is alike
RPN (rpn.py)       learned, from the features that the detector uses anyway
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image

from delineate.data.preprocess import Preprocess
from delineate.ops.anchors import base_anchors, grid_anchors
from delineate.ops.search.selective_search import selective_search
from delineate.values import Proposals, Target

VERSION = 1
"""Counted up whenever selective search comes to give other boxes, so that none kept before are taken for them."""

Levels = Sequence[Tensor]
"""The feature maps of a batch, fine to coarse; none where the detector computes none before it has proposals."""


class Proposer(nn.Module, ABC):
    """Pictures, and the detector's feature maps of them, to the places that may hold an object."""

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"], levels: Levels) -> list[Proposals]:
        """The proposals of each picture, the likeliest first."""

    def loss(
        self, images: Float[Tensor, "b 3 h w"], levels: Levels, targets: Sequence[Target]
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The boxes to train the detector on, and what is to be minimised that they may become better.

        Boxes that came with the targets, where a proposer ran before, are taken as they are.
        """
        if all(target.proposals is not None for target in targets):
            return [target.proposals.to(images.device) for target in targets if target.proposals is not None], {}
        return [proposals.boxes for proposals in self(images, levels)], {}


class SlidingWindow(Proposer):
    """Windows of every `scale` (side in pixels, the root of the area) and aspect ratio (height / width).

    They move by the share `step` of their sides, and are cut at the borders. All have the score 1: none is likelier.
    """

    def __init__(self, *, scales: Sequence[float], aspect_ratios: Sequence[float], step: float = 0.25) -> None:
        super().__init__()
        self.scales, self.aspect_ratios, self.step = tuple(scales), tuple(aspect_ratios), step

    def windows(self, image_size: tuple[int, int]) -> Float[Tensor, "n 4"]:
        """The windows of a picture of `(height, width)`."""
        height, width = image_size
        windows = []
        for base in base_anchors(self.scales, self.aspect_ratios):
            size = base[2:] - base[:2]
            stride_x, stride_y = (max(1.0, self.step * float(side)) for side in size)
            grid = int(height // stride_y) + 1, int(width // stride_x) + 1
            windows.append(grid_anchors(base[None], grid, (stride_y, stride_x)))
        clipped = clip_boxes_to_image(torch.cat(windows), image_size)
        half = (clipped[:, 2:] - clipped[:, :2]).prod(1) >= 0.5 * torch.cat(
            [(window[:, 2:] - window[:, :2]).prod(1) for window in windows]
        )
        windows_inside: Tensor = clipped[half]
        return windows_inside

    def forward(self, images: Float[Tensor, "b 3 h w"], levels: Levels) -> list[Proposals]:
        height, width = images.shape[-2:]
        boxes = self.windows((height, width)).to(images.device)
        proposals = Proposals(image_size=(height, width), boxes=boxes, scores=boxes.new_ones(len(boxes)))
        return [proposals] * len(images)


class SelectiveSearch(Proposer):
    """Selective search of at most `max_proposals` boxes (Uijlings et al. 2013), on the CPU.

    It undoes the normalisation of `preprocess`, since colours matter to it.
    """

    def __init__(
        self,
        *,
        mode: Literal["fast", "quality"] = "fast",
        max_proposals: int = 2000,
        preprocess: Preprocess | None = None,
    ) -> None:
        super().__init__()
        self.mode: Literal["fast", "quality"] = mode
        self.max_proposals = max_proposals
        self.preprocess = preprocess or Preprocess()

    @property
    def settings(self) -> str:
        """What tells its proposals from others'."""
        return f"selective_search {VERSION} {self.mode} {self.max_proposals}"

    def boxes(self, image: Tensor) -> Float[Tensor, "p 4"]:
        """The proposals of one RGB uint8 picture `(3, H, W)`."""
        return selective_search(image, mode=self.mode, max_proposals=self.max_proposals)

    def forward(self, images: Float[Tensor, "b 3 h w"], levels: Levels) -> list[Proposals]:
        height, width = images.shape[-2:]
        found = []
        for image in self.preprocess.denormalise(images).cpu():
            boxes = self.boxes(image).to(images.device)
            scores = torch.linspace(1, 0, len(boxes) + 1, device=images.device)[:-1]
            found.append(Proposals(image_size=(height, width), boxes=boxes, scores=scores))
        return found
