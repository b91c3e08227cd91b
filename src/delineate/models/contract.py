"""The one contract of every system."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from delineate.structures import Prediction, Target

Outputs = TypeVar("Outputs")
Result = TypeVar("Result", bound=Prediction, covariant=True)


class Model(nn.Module, ABC, Generic[Outputs, Result]):
    """A network, its criterion and its post-processing.

    A model never logs, draws, reads files or resizes pictures; what it returns does not depend on `.training`.
    """

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Outputs:
        """The graph that can be exported: normalised pictures of one size in, raw outputs out."""

    @abstractmethod
    def loss(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Named scalars, to be minimised by their sum. Targets are in the coordinates of `images`."""

    @abstractmethod
    def postprocess(self, outputs: Outputs, sizes: Sequence[tuple[int, int]]) -> list[Result]:
        """One result a picture, in the coordinates of the original picture of `(height, width)` in `sizes`."""
