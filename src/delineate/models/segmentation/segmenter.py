"""Every dense system has a network from pictures to logits, cross-entropy, and the best class of each pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.contract import Inputs, Model, Reader, Scores, TrainingPictures
from delineate.models.naming import Named
from delineate.models.segmentation.losses import cross_entropy, dice
from delineate.values import LabelMap, Truth


@dataclass(frozen=True, kw_only=True)
class SegmenterReader(Reader[Scores, Scores]):
    """Logits are the answer; the best class of each pixel needs no threshold."""

    def find(self, raw: Scores, size: tuple[int, int]) -> Scores:
        return raw

    def results(self, outputs: Scores, size: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> list[LabelMap]:
        """Interpolate logits to the original sizes, where the highest wins."""
        return [_label_map(logits, original) for logits, original in zip(outputs.logits, sizes, strict=True)]


def _label_map(logits: Float[Tensor, "c h w"], size: tuple[int, int]) -> LabelMap:
    if logits.shape[-2:] != size:
        rows = logits[None].float().contiguous()  # many classes side by side are interpolated several times as slowly
        logits = F.interpolate(rows, size=size, mode="bilinear", align_corners=False)[0]
    return LabelMap(label_map=logits.max(0).indices)  # as argmax, which takes seven times as long on a processor


class Segmenter(Model[Scores, Scores]):
    """The `network` maps pictures `(B, 3, H, W)` to logits `(B, num_classes, H, W)`.

    Its last convolution has an output a class, or else `named` says which layers have (`named_layers`). `class_weights`
    weigh the classes in the cross-entropy; they are a buffer, and so part of the weights.
    """

    class_weights: Tensor

    def __init__(
        self,
        *,
        network: nn.Module,
        num_classes: int,
        dice_weight: float = 0.0,
        named: Mapping[str, Named] | None = None,
    ) -> None:
        super().__init__()
        self.reader = SegmenterReader()
        self.network = network
        self.num_classes = num_classes
        self.dice_weight = dice_weight
        convs = [key for key, module in network.named_modules() if isinstance(module, nn.Conv2d)]
        self.named = named or {convs[-1]: Named(range(num_classes))}
        self.register_buffer("class_weights", torch.ones(num_classes))

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> Scores:
        return Scores(self.network(images))

    def named_layers(self) -> Mapping[str, Named]:
        return {f"network.{key}": named for key, named in self.named.items()}

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Compute `cross_entropy`, and `dice` where it has a weight, of the pixels that are not ignored."""
        label_maps = torch.stack([truth.label_map for truth in truths if truth.label_map is not None])
        return self.losses(self(inputs.images).logits.float(), label_maps)

    def losses(self, logits: Float[Tensor, "b c h w"], label_maps: Int64[Tensor, "b h w"]) -> dict[str, Tensor]:
        """Compute the losses of logits that are there already."""
        losses = {"cross_entropy": cross_entropy(logits, label_maps, self.class_weights)}
        if self.dice_weight:
            losses["dice"] = self.dice_weight * dice(logits, label_maps)
        return losses

    def begin(self, pictures: TrainingPictures) -> Sequence[str]:
        """Take the class weights; ones where all classes are equal, whatever an earlier run had."""
        weights = pictures.class_weights()
        self.class_weights.copy_(torch.ones_like(self.class_weights) if weights is None else weights)
        return ()
