"""Every system keeps this one contract, which parts what is exported from what reads it.

    Inputs ──► Model.forward ──► raw tensors ──► Reader.find ──► rows ──► Model.extend ──► rows ──► Reader.results
               └──────────────────────────── what is exported ────────────────────────────┘     └ without weights ┘

B  pictures    P  proposals    K  rows of a picture, as many for each; those that are no detection score -1
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from delineate.data.proposals import Search
from delineate.models.capacity import Capacity
from delineate.models.naming import Named
from delineate.values import Prediction, Thresholds, Truth

Say = Callable[[str], None]
"""Takes a line for a person to read."""


class Inputs(NamedTuple):
    """A batch, as a network takes it, has normalised pictures of one size and, for some systems, proposals.

    Pictures with fewer proposals than others have boxes of zeros at the end.
    """

    images: Float[Tensor, "b 3 h w"]
    proposals: Float[Tensor, "b p 4"] | None = None


class Rows(NamedTuple):
    """Rows are the objects of each picture, the likeliest first, in pixels of the network's input.

    `masks` are probabilities in the box, `heatmaps` logits over the box, `keypoints` places. `posed` says which rows
    have keypoints.
    """

    boxes: Float[Tensor, "b k 4"]
    scores: Float[Tensor, "b k"]
    labels: Int64[Tensor, "b k"]
    masks: Float[Tensor, "b k m m2"] | None = None
    heatmaps: Float[Tensor, "b k j s s2"] | None = None
    keypoints: Float[Tensor, "b k j 2"] | None = None
    posed: Bool[Tensor, "b k"] | None = None

    def first(self, count: int) -> "Rows":
        """Keep the first `count` rows of each picture."""
        cut: Any = {name: value[:, :count] for name, value in self._asdict().items() if value is not None}
        return self._replace(**cut)


class Scores(NamedTuple):
    """Scores are the logits of every class at every pixel of the network's input."""

    logits: Float[Tensor, "b c h w"]


Raw = TypeVar("Raw")
Found = TypeVar("Found", Rows, Scores)


@dataclass(frozen=True, kw_only=True)
class Reader(ABC, Generic[Raw, Found]):
    """A reader makes results of a network's outputs without any weights; it can be written as JSON.

    `thresholds` are `None` where there is nothing to choose.
    """

    thresholds: Thresholds | None = None

    @abstractmethod
    def find(self, raw: Raw, size: tuple[int, int]) -> Found:
        """Find a fixed number of rows in an input of `(height, width)`; this is a part of the exported graph."""

    @abstractmethod
    def results(self, outputs: Found, size: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> Sequence[Prediction]:
        """Move what was found in inputs of `size` into the original pictures of `sizes`, one result a picture."""


@runtime_checkable
class Batches(Protocol):
    """Batches are inputs with the truths of their pictures; their number is known."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[Inputs, Sequence[Truth]]]: ...


@runtime_checkable
class TrainingPictures(Protocol):
    """A system may ask this of the pictures that it is going to learn from; each answer reads all annotations."""

    def object_sizes(self) -> Float[Tensor, "n 2"] | None:
        """List the `(width, height)` of all objects in resized pictures; `None` where shapes are chosen."""

    def keypoint_classes(self) -> Bool[Tensor, " c"]:
        """Tell the classes of which an object has an annotated keypoint."""

    def class_weights(self) -> Float[Tensor, " c"] | None:
        """Weigh the values of label maps; `None` where all are equal."""


class Model(nn.Module, ABC, Generic[Raw, Found]):
    """A network and its criterion; what is made of its outputs is its `reader`'s.

    A model never logs, draws, reads files, resizes pictures or searches for proposals; what it returns does not depend
    on `.training`, and `forward` takes no branch by the values of tensors. `input_size` is the `(height, width)` of the
    pictures that it is made for, `None` where any will do. `search` gives the proposals that it takes as an input.
    `most_objects` of a picture can be found at most; `None` where `Thresholds` alone limit it. One that says places as
    shares of the sides of pictures of any size `learns_whole` ones: from windows it would learn other shares.
    """

    reader: Reader[Raw, Found]
    input_size: tuple[int, int] | None = None
    learns_whole: bool = False
    search: Search | None = None
    most_objects: int | None = None

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> Raw:
        """Run the graph: normalised pictures of one size go in; the shapes of what comes out follow from shapes."""

    @property
    def takes_any_size(self) -> bool:
        """Whether pictures may have any size follows from `input_size`: they may where there is none."""
        return self.input_size is None

    def extend(self, raw: Raw, outputs: Found) -> Found:
        """Add what further heads say of the rows: masks, heatmaps; most systems have no such heads."""
        return outputs

    @abstractmethod
    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Compute named scalars whose sum is minimised; nothing is validated, written or sent to other processes."""

    def named_layers(self) -> Mapping[str, Named]:
        """Name the layers, or parameters, that have outputs for each class or keypoint: those go by names.

        Another network's weights go into all that is not listed here as they are, where the shape is the same.
        """
        return {}

    def begin(self, pictures: TrainingPictures) -> Sequence[str]:
        """Take what is known of the training pictures, such as anchors, before the first step; say so in lines."""
        return ()

    def capacity(self, pictures: Sequence[Float[Tensor, "_n 4"]]) -> Capacity | None:
        """Tell which objects of these and other pictures are lost on it; `None` where it learns wherever they are.

        `pictures` are the objects of each picture to learn from, in pixels of the network's input; the model is in
        evaluation mode.
        """
        return None

    @property
    def fits(self) -> bool:
        """The model has something to `fit` once gradient descent is over, where this is true."""
        return False

    def fit(self, batches: Batches, folder: Path, say: Say) -> None:
        """Learn what no gradient descent learns, after it; the weights that it gives are part of the model's.

        It is called once, in evaluation mode, with the training pictures. What does not fit in memory is kept in files
        in `folder`, which are gone when it ends; what was done is said in lines.
        """

    def learned(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Leave out the weights that `fit` makes: gradients have learned the others."""
        return weights


AnyModel = Model[Any, Any]
