"""A task: what a system is asked for, what its data must hold, what is measured, and by which names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from jaxtyping import Int64
from torch import Tensor

from delineate.values.categories import Categories
from delineate.values.target import Target

Content = Literal["boxes", "masks", "keypoints", "label_map"]
"""The kinds of annotation that a picture may have."""
NameList = Literal["class_names", "label_map_names", "keypoint_names"]
"""The lists of names in `Categories`."""

Same = TypeVar("Same", bound="Tally")


@runtime_checkable
class Tally(Protocol):
    """A tally gathers pictures to be measured; those of several processes can be merged."""

    def add(self, prediction: Any, target: Target, number: int = 0) -> None:
        """Take one picture, which has the place `number` in the data set."""

    def merge(self: Same, other: Same) -> None:
        """Take all pictures of another tally."""

    def metrics(self, names: tuple[str, ...]) -> dict[str, float]:
        """Compute the metrics, the main one first; those of class NAME are called `METRIC/NAME`."""

    def confusion(self, num_classes: int) -> Int64[Tensor, "c c2"] | None:
        """Count how often class `i` was taken for class `j`; `None` where there are no classes."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task is a question about pictures.

    `title` is its name in the field, `finds` says in words what a system of this task finds. `needs` are the
    annotations that it learns from and is measured by. `labels` are the names that a system tells apart, `rows` those
    that its metrics are given for. `metric` is the main metric, `protocol` the rules of measuring in words, and `tally`
    makes what measures. With `finds_many` a result holds any number of objects; with `crops` each annotated body is a
    picture of its own.
    """

    name: str
    title: str
    finds: str
    needs: frozenset[Content]
    labels: NameList
    rows: NameList
    metric: str
    protocol: str
    tally: Callable[[Categories], Tally]
    finds_many: bool = False
    crops: bool = False

    @property
    def row(self) -> str:
        """Name one of what metrics are given for."""
        return "joint" if self.rows == "keypoint_names" else "class"
