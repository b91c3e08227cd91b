"""All objects of a data set at once, where a reader has them so: a census of millions takes a second."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """The objects of picture `i` are the rows `starts[i]` up to `starts[i + 1]`; `sizes` are `(height, width)`.

    `annotated` says which keypoints are, where the data set has some.
    """

    starts: Int[Tensor, " m"]
    boxes: Float[Tensor, "n 4"]
    labels: Int[Tensor, " n"]
    crowd: Bool[Tensor, " n"]
    difficult: Bool[Tensor, " n"]
    annotated: Bool[Tensor, "n k"] | None
    sizes: Int[Tensor, "p 2"]

    def part(self, pictures: Int[Tensor, " q"]) -> "Table":
        """Choose pictures, which may come more than once."""
        counts = (self.starts[1:] - self.starts[:-1])[pictures]
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        rows = torch.arange(int(starts[-1])) + (self.starts[pictures] - starts[:-1]).repeat_interleave(counts)
        return Table(
            starts=starts,
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            crowd=self.crowd[rows],
            difficult=self.difficult[rows],
            annotated=None if self.annotated is None else self.annotated[rows],
            sizes=self.sizes[pictures],
        )

    @property
    def pictures(self) -> Int[Tensor, " n"]:
        """Give the picture of each object."""
        counts = self.starts[1:] - self.starts[:-1]
        return torch.arange(len(counts)).repeat_interleave(counts)
