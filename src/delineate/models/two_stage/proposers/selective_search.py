"""Selective search (Uijlings et al. 2013) is a proposer here; how it works is in `ops/search`."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, UInt8
from torch import Tensor

from delineate.ops.search.selective_search import selective_search

VERSION = 1
"""Counted up whenever selective search comes to give other boxes, so that none kept before are taken for them."""


@dataclass(frozen=True, kw_only=True)
class SelectiveSearch:
    """It proposes at most `max_proposals` boxes of a picture's segments, on the CPU."""

    mode: Literal["fast", "quality"] = "fast"
    max_proposals: int = 2000

    @property
    def settings(self) -> str:
        """The settings tell its proposals from others'."""
        return f"selective_search {VERSION} {self.mode} {self.max_proposals}"

    @property
    def kept(self) -> bool:
        """The original picture is searched, once."""
        return True

    def boxes(self, image: UInt8[Tensor, "3 h w"]) -> Float[Tensor, "p 4"]:
        """Find the proposals of one RGB picture, the likeliest first."""
        return selective_search(image, mode=self.mode, max_proposals=self.max_proposals)
