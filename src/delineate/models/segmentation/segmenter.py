"""Every dense system: a network from pictures to per-pixel logits, cross-entropy, and the best class of each pixel."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.contract import Model
from delineate.models.segmentation.losses import cross_entropy, dice
from delineate.values import LabelMap, Target


class Segmenter(Model[Tensor, LabelMap]):
    """Semantic segmentation by `network`, which maps pictures `(B, 3, H, W)` to logits `(B, num_classes, H, W)`.

    `class_weights` weigh the classes in the cross-entropy; they are a buffer, and so part of the weights.
    """

    class_weights: Tensor

    def __init__(self, *, network: nn.Module, num_classes: int, dice_weight: float = 0.0) -> None:
        super().__init__()
        self.network = network
        self.num_classes = num_classes
        self.dice_weight = dice_weight
        self.register_buffer("class_weights", torch.ones(num_classes))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        logits: Tensor = self.network(images)
        return logits

    def loss(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> dict[str, Tensor]:
        logits = self(images).float()
        label_maps = torch.stack([_label_map(target) for target in targets]).to(logits.device)
        losses = {"cross_entropy": cross_entropy(logits, label_maps, self.class_weights)}
        if self.dice_weight:
            losses["dice"] = self.dice_weight * dice(logits, label_maps)
        return losses

    def postprocess(self, outputs: Float[Tensor, "b c h w"], sizes: Sequence[tuple[int, int]]) -> list[LabelMap]:
        """Label maps at the original sizes: logits are interpolated, then the highest wins."""
        results = []
        for logits, size in zip(outputs, sizes, strict=True):
            if logits.shape[-2:] != size:
                logits = F.interpolate(logits[None].float(), size=size, mode="bilinear", align_corners=False)[0]
            results.append(LabelMap(label_map=logits.argmax(0)))
        return results


def _label_map(target: Target) -> Tensor:
    assert target.label_map is not None, "a dense system trains on label maps"
    return target.label_map
