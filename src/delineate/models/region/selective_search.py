"""Selective search (Uijlings et al. 2013, IJCV): boxes of regions, grouped from a picture's segments by what is alike.

    planes     float32 (c, h, w): the channels of a colour space, 0 .. 255
    labels     int32 (h, w): the segments' numbers 0 .. n-1
    regions    the n segments, then n-1 more, each of two of those before it; the last one is the picture
      sizes      int32 (2n-1,): pixels
      boxes      int32 (2n-1, 4): x1 y1 x2 y2, exclusive ends
      colours    float32 (2n-1, c * 25): histograms of 25 bins a channel; their sum is one
      textures   float32 (2n-1, c * 80): histograms of 10 bins for each of 8 orientations of a channel; their sum is one
    pairs      int32 (p, 2): segments that touch; each pair once

Deviations from the paper: `fast` has the scales 100 and 200, not 50 and 100, and segments are smoothed by `SIGMA`, not
0.8, and have `MIN_SIZE` pixels at least at every scale: with these more of COCO's objects are among the first 2,000
boxes. Pictures larger than `MAX_AREA` are searched at that size.
"""

import heapq
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from delineate.models.region.graph_segmentation import compiled, convolved, gaussian, graph_segmentation

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

COLOUR_BINS = 25
TEXTURE_BINS = 10
TEXTURE_RANGE = 64.0  # grey levels a pixel; the last bin takes what is steeper
ORIENTATIONS = 8
MIN_SIZE = 50
SIGMA = 0.5
# The scales and the smallest segment are numbers of pixels, and made for pictures of about 500 x 375: a larger one is
# searched at this area, which also bounds the time.
MAX_AREA = 640 * 640


class Strategies(NamedTuple):
    """What is combined: every colour space with every scale `k` of the segmentation and every similarity.

    A similarity is the weights of colour, texture, size and fill.
    """

    spaces: tuple[str, ...]
    scales: tuple[int, ...]
    similarities: tuple[tuple[int, int, int, int], ...]


# Section 5.1.3, but for the scales of fast, which are 50 and 100 there.
FAST = Strategies(("hsv", "lab"), (100, 200), ((1, 1, 1, 1), (0, 1, 1, 1)))
QUALITY = Strategies(
    ("hsv", "lab", "rgi", "h", "i"), (50, 100, 150, 300), ((1, 1, 1, 1), (0, 1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0))
)


class Regions(NamedTuple):
    """A hierarchy of regions, as the legend above has it, in a picture of `area` pixels."""

    sizes: Integers
    boxes: Integers
    colours: Floats
    textures: Floats
    area: int


def selective_search(
    image: UInt8[Tensor, "3 h w"], *, mode: Literal["fast", "quality"] = "fast", max_proposals: int | None = None
) -> Float[Tensor, "n 4"]:
    """Boxes that may hold an object, whatever its class, the likeliest first.

    Of an RGB picture, at most `max_proposals` different boxes `x1 y1 x2 y2` in absolute pixels, on the CPU; there is
    one at least. The same picture has the same boxes every time. The first call compiles, which takes some seconds,
    and keeps what it compiled on disk. Other threads run meanwhile.

    Uijlings et al. 2013, Selective Search for Object Recognition: `fast` and `quality` are those of section 5.1.3, the
    order is section 3.3's.
    """
    height, width = image.shape[1:]
    rgb = shrunk(image).cpu().numpy()
    strategies = FAST if mode == "fast" else QUALITY
    found = [boxes for space in strategies.spaces for boxes in hierarchies(colour_space(rgb, space), strategies)]
    boxes = ordered(found, rgb.shape[1:])[:max_proposals]
    factors = np.array([width, height, width, height]) / np.array(rgb.shape[:0:-1] * 2)
    return torch.from_numpy((boxes * factors).astype(np.float32))


def shrunk(image: UInt8[Tensor, "3 h w"]) -> UInt8[Tensor, "3 _h _w"]:
    """The picture, or a smaller one of about `MAX_AREA` where it is larger."""
    height, width = image.shape[1:]
    scale = (MAX_AREA / (height * width)) ** 0.5
    return image if scale >= 1 else resize(image, [max(1, round(height * scale)), max(1, round(width * scale))])


def ordered(hierarchies: list[Integers], size: tuple[int, int]) -> Integers:
    """The different boxes of all hierarchies; the i-th from the top of one comes at i times a random number."""
    random = np.random.default_rng(0)
    priorities = [np.arange(len(boxes), 0, -1) * random.random(len(boxes)) for boxes in hierarchies]
    boxes = np.concatenate(hierarchies)[np.argsort(np.concatenate(priorities), kind="stable")]
    sides = (size[1] + 1, size[0] + 1)
    _, first = np.unique(np.ravel_multi_index(tuple(boxes.T), sides * 2), return_index=True)
    return boxes[np.sort(first)]


def hierarchies(planes: Floats, strategies: Strategies) -> Iterator[Integers]:
    """The boxes `(2n-1, 4)` of each hierarchy in one colour space: from its segments to the picture."""
    codes = texture_codes(planes)
    for labels in graph_segmentation(planes, strategies.scales, MIN_SIZE, SIGMA):
        regions, pairs = described(planes, codes, labels, int(labels.max()) + 1), touching(labels)
        for similarity in strategies.similarities:
            group(regions, pairs, np.array(similarity, np.float32))
            yield regions.boxes.copy()  # the next similarity overwrites all but the segments


def colour_space(rgb: NDArray[np.uint8], name: str) -> Floats:
    """The picture's channels `(c, h, w)` in hsv, lab, rgi (normalised red and green, and intensity), h or i."""
    if name == "lab":
        return lab(rgb)
    colours = rgb.astype(np.float32)
    if name in ("hsv", "h"):
        return hsv(colours)[: len(name)]
    intensity: Floats = colours.mean(0, keepdims=True)
    if name == "i":
        return intensity
    assert name == "rgi", name
    return np.concatenate([colours[:2] * (85 / np.maximum(intensity, 1)), intensity])


def hsv(colours: Floats) -> Floats:
    """Hue, saturation and value, each 0 .. 255."""
    red, green, blue = colours
    value = colours.max(0)
    chroma = value - colours.min(0)
    divisor = np.maximum(chroma, 1)
    hue = np.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4)
    hue = np.where(value == red, (green - blue) / divisor % 6, hue)
    return np.stack([hue * np.float32(255 / 6), chroma * 255 / np.maximum(value, 1), value])


@compiled
def lab(rgb: NDArray[np.uint8]) -> Floats:
    """CIE L*a*b* of sRGB under D65; L* scaled, a* and b* moved to 0 .. 255."""
    steps = np.arange(256) / 255
    linear = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4).astype(np.float32)
    # rows: X, Y and Z, each as a share of white's
    matrix = np.array([[0.43395, 0.37622, 0.18983], [0.21267, 0.71515, 0.07218], [0.01776, 0.10947, 0.87277]])
    weights = matrix.astype(np.float32)
    planes = np.empty(rgb.shape, np.float32)
    xyz = np.empty(3, np.float32)
    for y in range(rgb.shape[1]):
        for x in range(rgb.shape[2]):
            red, green, blue = linear[rgb[0, y, x]], linear[rgb[1, y, x]], linear[rgb[2, y, x]]
            for row in range(3):
                share = weights[row, 0] * red + weights[row, 1] * green + weights[row, 2] * blue
                xyz[row] = np.cbrt(share) if share > 0.008856 else 7.787 * share + 16 / 116
            planes[0, y, x] = 2.55 * (116 * xyz[1] - 16)
            planes[1, y, x] = 500 * (xyz[0] - xyz[1]) + 128
            planes[2, y, x] = 200 * (xyz[1] - xyz[2]) + 128
    return planes


def texture_codes(planes: Floats) -> NDArray[np.uint8]:
    """For each pixel, channel and axis of 0, 45, 90 and 135 degrees, the bin `(h, w, c, 4)` of the slope along it.

    The slopes are Gaussian derivatives of deviation 1. An axis has two orientations, and a slope counts in the one in
    which it rises.
    """
    smooth, slope = gaussian(1.0), gaussian(1.0, derivative=True)
    steps = np.float32(TEXTURE_BINS / TEXTURE_RANGE)
    return binned(convolved(planes, smooth, slope * steps), convolved(planes, slope * steps, smooth))


@compiled
def binned(right: Floats, down: Floats) -> NDArray[np.uint8]:
    """The codes `(h, w, c, 4)` of slopes `(c, h, w)` given in steps of a bin."""
    num_planes, height, width = right.shape
    codes = np.empty((height, width, num_planes, ORIENTATIONS // 2), np.uint8)
    diagonal = np.float32(np.sqrt(0.5))
    for plane in range(num_planes):
        for y in range(height):
            for x in range(width):
                along, across = right[plane, y, x], down[plane, y, x]
                slopes = (along, (along + across) * diagonal, across, (across - along) * diagonal)
                for axis, slope in enumerate(slopes):
                    steps = min(int(abs(slope)), TEXTURE_BINS - 1)
                    codes[y, x, plane, axis] = (2 * axis + (slope < 0)) * TEXTURE_BINS + steps
    return codes


@compiled
def described(planes: Floats, codes: NDArray[np.uint8], labels: Integers, count: int) -> Regions:
    """The segments' rows of the regions; the other rows are for `group` to fill."""
    num_planes, height, width = planes.shape
    channel = ORIENTATIONS * TEXTURE_BINS
    sizes = np.zeros(2 * count - 1, np.int32)
    boxes = np.zeros((2 * count - 1, 4), np.int32)
    boxes[:, 0], boxes[:, 1] = width, height
    colours = np.zeros((2 * count - 1, num_planes * COLOUR_BINS), np.float32)
    textures = np.zeros((2 * count - 1, num_planes * channel), np.float32)
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            box, colour, texture = boxes[label], colours[label], textures[label]
            sizes[label] += 1
            box[0], box[1], box[2], box[3] = min(box[0], x), min(box[1], y), max(box[2], x + 1), max(box[3], y + 1)
            for plane in range(num_planes):
                colour[plane * COLOUR_BINS + int(planes[plane, y, x] * np.float32(COLOUR_BINS / 256))] += 1
                for axis in range(ORIENTATIONS // 2):
                    texture[plane * channel + codes[y, x, plane, axis]] += 1
    for label in range(count):
        # A slope that rises in one orientation is none in the opposite one, where it has not been counted yet.
        for start in range(0, num_planes * channel, TEXTURE_BINS):
            bins = textures[label, start : start + TEXTURE_BINS]
            bins[0] += sizes[label] - bins.sum()
        colours[label] /= num_planes * sizes[label]
        textures[label] /= num_planes * ORIENTATIONS * sizes[label]
    return Regions(sizes, boxes, colours, textures, height * width)


def touching(labels: Integers) -> Integers:
    """The pairs of segments that have pixels side by side or one above the other, ascending."""
    count = int(labels.max()) + 1
    keys = []
    for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        border = one != other
        first, second = one[border].astype(np.int64), other[border]
        keys.append(np.minimum(first, second) * count + np.maximum(first, second))
    return np.stack(np.divmod(np.unique(np.concatenate(keys)), count), axis=1).astype(np.int32)


@compiled
def group(regions: Regions, pairs: Integers, weights: Floats) -> None:
    """Merge the two most similar neighbours until one region is left (algorithm 1), and fill in the regions' rows."""
    num_regions = len(regions.sizes)
    neighbours, following, first = chained(pairs, num_regions)
    parents = np.arange(num_regions).astype(np.int32)
    seen = np.full(num_regions, -1, np.int32)
    heap = [(-similarity(regions, one, other, weights), one, other) for one, other in pairs]
    heapq.heapify(heap)
    for new in range((num_regions + 1) // 2, num_regions):
        _, one, other = heapq.heappop(heap)
        while parents[one] != one or parents[other] != other:  # a pair of before one of the two was merged
            _, one, other = heapq.heappop(heap)
        parents[one] = parents[other] = seen[new] = new
        merge(regions, one, other, new)
        for old in (one, other):
            node = first[old]
            while node >= 0:
                after = following[node]
                region = neighbours[node]
                while parents[region] != region:
                    parents[region] = parents[parents[region]]
                    region = parents[region]
                if seen[region] != new:
                    seen[region] = new
                    neighbours[node], following[node], first[new] = region, first[new], node
                    entry = (-similarity(regions, new, region, weights), np.int32(new), np.int32(region))
                    heapq.heappush(heap, entry)
                node = after


@compiled
def chained(pairs: Integers, num_regions: int) -> tuple[Integers, Integers, Integers]:
    """Each region's neighbours as a chain of nodes: a node's region, the node after it, and each region's first node.

    A merged region takes over the nodes of its two, so none is ever made; -1 ends a chain.
    """
    neighbours = np.empty(2 * len(pairs), np.int32)
    following = np.empty(2 * len(pairs), np.int32)
    first = np.full(num_regions, -1, np.int32)
    for row in range(len(pairs)):
        for side in range(2):
            node, region = 2 * row + side, pairs[row, side]
            neighbours[node], following[node], first[region] = pairs[row, 1 - side], first[region], node
    return neighbours, following, first


@compiled
def merge(regions: Regions, one: int, other: int, new: int) -> None:
    """Fill in the row of the region that two make; histograms are averaged by size (equation 2)."""
    sizes, boxes = regions.sizes, regions.boxes
    sizes[new] = sizes[one] + sizes[other]
    for side in range(2):
        boxes[new, side] = min(boxes[one, side], boxes[other, side])
        boxes[new, side + 2] = max(boxes[one, side + 2], boxes[other, side + 2])
    share = np.float32(sizes[one] / sizes[new])
    for histograms in (regions.colours, regions.textures):
        for column in range(histograms.shape[1]):
            ours, others = histograms[one, column], histograms[other, column]
            histograms[new, column] = others + share * (ours - others)


@compiled
def similarity(regions: Regions, one: int, other: int, weights: Floats) -> np.float32:
    """The weighted sum of the similarities in colour, texture, size and fill (equation 6)."""
    boxes, area = regions.boxes, np.float32(regions.area)
    size = regions.sizes[one] + regions.sizes[other]
    width = max(boxes[one, 2], boxes[other, 2]) - min(boxes[one, 0], boxes[other, 0])
    height = max(boxes[one, 3], boxes[other, 3]) - min(boxes[one, 1], boxes[other, 1])
    total = weights[2] * (1 - size / area) + weights[3] * (1 - (width * height - size) / area)
    if weights[0]:
        total += weights[0] * intersection(regions.colours[one], regions.colours[other])
    if weights[1]:
        total += weights[1] * intersection(regions.textures[one], regions.textures[other])
    return np.float32(total)


@compiled
def intersection(one: Floats, other: Floats) -> np.float32:
    """What two histograms share (equations 1 and 3)."""
    shared = np.float32(0)
    for column in range(len(one)):
        shared += min(one[column], other[column])
    return shared
