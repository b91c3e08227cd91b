"""What every backbone is: pictures in, feature maps at declared channels and strides out.

B        pictures in a batch
levels   the feature maps, fine to coarse; level i is (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i]))
indices  stride after a max pooling -> for each pooled value, where in the map before it came from
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import timm
from jaxtyping import Float
from torch import Tensor, nn

from delineate.values import InputError


class Features(NamedTuple):
    """What a backbone makes of a batch."""

    levels: tuple[Tensor, ...]
    indices: dict[int, Tensor]


class Backbone(nn.Module, ABC):
    """Pictures `(B, 3, H, W)` to feature maps, whose channels and strides it declares.

    `index_channels` names, for every stride that is reached by a max pooling with indices, the channels of those
    indices; it is empty for a backbone that keeps none.
    """

    name: str
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    index_channels: dict[int, int]
    frozen: tuple[nn.Module, ...] = ()

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Features: ...

    @abstractmethod
    def stages(self) -> list[nn.Module]:
        """The modules in order, grouped by the level that they end in."""

    @abstractmethod
    def imagenet_weights(self) -> dict[str, Tensor]:
        """The state dict of the same backbone trained on ImageNet; this downloads.

        Raises `InputError` when there are none or they cannot be fetched.
        """

    def from_published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """A published state dict under the names of this module; weights that it has no place for may be left out."""
        return weights

    def imagenet_statistics(self) -> dict[str, Any]:
        """The `mean` and `std` that pictures were normalised by for those weights, as `Preprocess` takes them."""
        published = timm.get_pretrained_cfg(self.name)
        return {"mean": published.mean, "std": published.std} if published else {}

    def freeze_until(self, stage: int) -> None:
        """Stop the training of stages `0..stage`, their batch statistics included.

        Raises `InputError` when there is no such stage.
        """
        stages = self.stages()
        if len(stages) != len(self.strides):
            raise InputError(f"freeze_until: the stages of {self.name} cannot be told apart; leave it out")
        if not 0 <= stage < len(stages):
            raise InputError(f"freeze_until: {stage} is no stage of this backbone; choose 0..{len(stages) - 1}")
        self.frozen = (*self.frozen, *stages[: stage + 1])
        for module in self.frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def freeze_norms(self) -> None:
        """Stop the training of all batch norms, their statistics included."""
        norms = [module for module in self.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.requires_grad_(False)
        self.frozen = (*self.frozen, *norms)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self
