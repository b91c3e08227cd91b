"""Selective search (Uijlings et al. 2013, IJCV): boxes of regions, grouped from a picture's segments by what is alike.

    planes     float32 (c, h, w): the channels of a colour space, 0 .. 255
    labels     int32 (h, w): the segments' numbers 0 .. n-1
    regions    the n segments, then n-1 more, each of two of those before it (grouping.py)

Deviations from the paper: `fast` has the scales 100 and 200, not 50 and 100, and segments are smoothed by `SIGMA`, not
0.8, and have `MIN_SIZE` pixels at least at every scale: with these more of COCO's objects are among the first 2,000
boxes. Pictures larger than `MAX_AREA` are searched at that size, and edges' weights are rounded to 1/128 grey level,
which bound the time.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from delineate.ops.search.colour_spaces import colour_space
from delineate.ops.search.graph_segmentation import Floats, Integers, graph_segmentation
from delineate.ops.search.grouping import described, group, texture_codes, touching

MIN_SIZE = 50
SIGMA = 0.5
# The scales and the smallest segment are numbers of pixels, and made for pictures of about 500 x 375: a larger one is
# searched at this area, which also bounds the time.
MAX_AREA = 640 * 640


class Strategies(NamedTuple):
    """Every colour space is combined with every scale `k` of the segmentation and every similarity.

    A similarity is the weights of colour, texture, size and fill.
    """

    spaces: tuple[str, ...]
    scales: tuple[int, ...]
    similarities: tuple[tuple[int, int, int, int], ...]


class Tree(NamedTuple):
    """A hierarchy has the `labels` of its segments, and the `boxes` and `halves` of its regions (grouping.py)."""

    labels: Integers
    boxes: Integers
    halves: Integers


# Section 5.1.3, but for the scales of fast, which are 50 and 100 there.
FAST = Strategies(("hsv", "lab"), (100, 200), ((1, 1, 1, 1), (0, 1, 1, 1)))
QUALITY = Strategies(
    ("hsv", "lab", "rgi", "h", "i"), (50, 100, 150, 300), ((1, 1, 1, 1), (0, 1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0))
)


def selective_search(
    image: UInt8[Tensor, "3 h w"], *, mode: Literal["fast", "quality"] = "fast", max_proposals: int | None = None
) -> Float[Tensor, "n 4"]:
    """Find boxes that may hold an object, whatever its class, the likeliest first.

    Of an RGB picture, at most `max_proposals` different boxes `x1 y1 x2 y2` in absolute pixels, on the CPU; there is
    one at least. The same picture has the same boxes every time. The first call compiles, which takes some seconds,
    and keeps what it compiled on disk. Other threads run meanwhile.

    Uijlings et al. 2013, Selective Search for Object Recognition: `fast` and `quality` are those of section 5.1.3, the
    order is section 3.3's.
    """
    rgb = shrunk(image).cpu().numpy()
    trees = trees_of(rgb, FAST if mode == "fast" else QUALITY)
    boxes = ordered([tree.boxes for tree in trees], rgb.shape[1:])[:max_proposals]
    return enlarged(boxes, rgb.shape[1:], (image.shape[1], image.shape[2]))


def trees_of(rgb: NDArray[np.uint8], strategies: Strategies) -> list[Tree]:
    """Grow the hierarchies of a picture `(3, h, w)` in every colour space."""
    return [tree for space in strategies.spaces for tree in hierarchies(colour_space(rgb, space), strategies)]


def enlarged(boxes: Integers, size: tuple[int, int], original: tuple[int, int]) -> Float[Tensor, "n 4"]:
    """Scale boxes of a picture of `(height, width)` to those of the picture that it was made of."""
    factors = np.array(original[::-1] * 2) / np.array(size[::-1] * 2)
    return torch.from_numpy((boxes * factors).astype(np.float32))


def shrunk(image: UInt8[Tensor, "3 h w"]) -> UInt8[Tensor, "3 _h _w"]:
    """Shrink a picture to about `MAX_AREA` where it is larger."""
    height, width = image.shape[1:]
    scale = (MAX_AREA / (height * width)) ** 0.5
    return image if scale >= 1 else resize(image, [max(1, round(height * scale)), max(1, round(width * scale))])


def ordered(hierarchies: list[Integers], size: tuple[int, int]) -> Integers:
    """Order the different boxes of all hierarchies; the i-th from the top of one comes at i times a random number."""
    random = np.random.default_rng(0)
    priorities = [np.arange(len(boxes), 0, -1) * random.random(len(boxes)) for boxes in hierarchies]
    boxes = np.concatenate(hierarchies)[np.argsort(np.concatenate(priorities), kind="stable")]
    sides = (size[1] + 1, size[0] + 1)
    _, first = np.unique(np.ravel_multi_index(tuple(boxes.T), sides * 2), return_index=True)
    return boxes[np.sort(first)]


def hierarchies(planes: Floats, strategies: Strategies) -> Iterator[Tree]:
    """Give each hierarchy in one colour space, from its segments to the picture."""
    codes = texture_codes(planes)
    for labels in graph_segmentation(planes, strategies.scales, MIN_SIZE, SIGMA):
        regions, pairs = described(planes, codes, labels, int(labels.max()) + 1), touching(labels)
        for similarity in strategies.similarities:
            group(regions, pairs, np.array(similarity, np.float32))
            yield Tree(labels, regions.boxes.copy(), regions.halves.copy())  # the next similarity overwrites them
