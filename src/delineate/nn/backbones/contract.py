"""Every backbone makes feature maps of pictures, at declared channels and strides.

B        pictures in a batch
levels   the feature maps, fine to coarse; level i is (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i]))
indices  stride after a max pooling -> for each pooled value, where in the map before it came from
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import timm
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from delineate.values import InputError


class Features(NamedTuple):
    """A backbone makes these of a batch."""

    levels: tuple[Tensor, ...]
    indices: dict[int, Tensor]


class Backbone(nn.Module, ABC):
    """Pictures `(B, 3, H, W)` become feature maps, whose channels and strides it declares.

    `index_channels` names, for every stride that is reached by a max pooling with indices, the channels of those
    indices; it is empty for a backbone that keeps none.
    """

    name: str
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    index_channels: dict[int, int]
    frozen_stages: tuple[nn.Module, ...] = ()
    frozen_norms: tuple[nn.Module, ...] = ()

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Features: ...

    @abstractmethod
    def stages(self) -> list[nn.Module]:
        """Group the modules, in order, by the level that they end in."""

    @abstractmethod
    def imagenet_weights(self) -> dict[str, Tensor]:
        """Download the state dict of the same backbone trained on ImageNet.

        Raises `InputError` when there are none or they cannot be fetched.
        """

    def from_published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename a published state dict as this module is named; weights without a place may be left out."""
        return weights

    def imagenet_statistics(self) -> dict[str, Any]:
        """Look up the `mean` and `std` of pictures for published weights, as `Preprocess` takes them, or nothing."""
        published = timm.get_pretrained_cfg(self.name)
        return {"mean": published.mean, "std": published.std} if published else {}

    def freeze_until(self, stage: int) -> None:
        """Stop the training of stages `0..stage`, their batch statistics included.

        Raises `InputError` when there is no such stage.
        """
        stages = self.told_apart("freeze_until")
        if not 0 <= stage < len(stages):
            raise InputError(f"freeze_until: {stage} is no stage of this backbone; choose 0..{len(stages) - 1}")
        self.frozen_stages = tuple(stages[: stage + 1])
        self._freeze()

    def freeze_norms(self) -> None:
        """Stop the training of all batch norms, their statistics included."""
        self.frozen_norms = tuple(module for module in self.modules() if isinstance(module, _BatchNorm))
        self._freeze()

    def thaw(self) -> None:
        """Let the stages that `freeze_until` stopped train again."""
        for module in self.frozen_stages:
            module.requires_grad_(True)
        self.frozen_stages = ()
        self.train(self.training)

    def told_apart(self, option: str) -> list[nn.Module]:
        """List the stages, one a level; raises `InputError` that names the option where they cannot be told apart."""
        stages = self.stages()
        if len(stages) != len(self.strides):
            raise InputError(f"{option}: the stages of {self.name} cannot be told apart; leave it out")
        return stages

    def _freeze(self) -> None:
        for module in (*self.frozen_stages, *self.frozen_norms):
            module.requires_grad_(False)
            module.eval()

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        self._freeze()
        return self
