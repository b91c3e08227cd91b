"""The one contract of every system."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from delineate.structures import Prediction, Target

Outputs = TypeVar("Outputs")
Result = TypeVar("Result", bound=Prediction, covariant=True)
Say = Callable[[str], None]
"""Takes a line for a person to read."""


@runtime_checkable
class Batches(Protocol):
    """Normalised pictures `(b, 3, h, w)` with their targets, batch by batch, and the number of batches."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[Tensor, Sequence[Target]]]: ...


class Model(nn.Module, ABC, Generic[Outputs, Result]):
    """A network, its criterion and its post-processing.

    A model never logs, draws, reads files or resizes pictures; what it returns does not depend on `.training`.
    `input_size` is the `(height, width)` of the pictures that it is made for, `None` where any will do. `finds_many`
    says whether a result may hold any number of objects, of which the unlikely ones are left out when they are shown.
    """

    input_size: tuple[int, int] | None = None
    finds_many: bool = True

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Outputs:
        """The graph that can be exported: normalised pictures of one size in, raw outputs out."""

    @abstractmethod
    def loss(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Named scalars, to be minimised by their sum. Targets are in the coordinates of `images`."""

    @abstractmethod
    def postprocess(self, outputs: Outputs, sizes: Sequence[tuple[int, int]]) -> list[Result]:
        """One result a picture, in the coordinates of the original picture of `(height, width)` in `sizes`."""

    @property
    def fits(self) -> bool:
        """Whether the system has something to `fit` once its gradient descent is over."""
        return False

    def fit(self, batches: Batches, folder: Path, say: Say) -> None:
        """What is learned by no gradient descent, after it; the weights that it gives are part of the model's.

        It is called once, in evaluation mode, with the training pictures. What does not fit in memory is kept in files
        in `folder`, which are gone when it ends; what was done is said in lines.
        """
