"""The hierarchical grouping of selective search (Uijlings et al. 2013, section 3.1 and 3.2).

regions    the n segments, then n-1 more, each of two of those before it; the last one is the picture
sizes      int32 (2n-1,): pixels
boxes      int32 (2n-1, 4): x1 y1 x2 y2, exclusive ends
halves     int32 (2n-1, 2): the two regions that one was made of; -1 for segments
colours    float32 (2n-1, c * 25): histograms of 25 bins a channel; their sum is one
textures   float32 (2n-1, c * 80): histograms of 10 bins for each of 8 orientations of a channel; their sum is one
pairs      int32 (p, 2): segments that touch; each pair once
"""

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.ops.search.graph_segmentation import Floats, Integers, convolved, fast, gaussian

COLOUR_BINS = 25
TEXTURE_BINS = 10
TEXTURE_RANGE = 64.0  # grey levels a pixel; the last bin takes what is steeper
ORIENTATIONS = 8


class Regions(NamedTuple):
    """A hierarchy of regions, as the legend above has it, in a picture of `area` pixels."""

    sizes: Integers
    boxes: Integers
    halves: Integers
    colours: Floats
    textures: Floats
    area: int


def texture_codes(planes: Floats) -> NDArray[np.uint8]:
    """Find for each pixel, channel and axis (0, 45, 90, 135 degrees) the bin `(h, w, c, 4)` of the slope along it.

    The slopes are Gaussian derivatives of deviation 1. An axis has two orientations, and a slope counts in the one in
    which it rises.
    """
    smooth, slope = gaussian(1.0), gaussian(1.0, derivative=True)
    steps = np.float32(TEXTURE_BINS / TEXTURE_RANGE)
    return binned(convolved(planes, smooth, slope * steps), convolved(planes, slope * steps, smooth))


@fast
def binned(right: Floats, down: Floats) -> NDArray[np.uint8]:
    """Code slopes `(c, h, w)`, given in steps of a bin, as `(h, w, c, 4)`."""
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


@fast
def described(planes: Floats, codes: NDArray[np.uint8], labels: Integers, count: int) -> Regions:
    """Fill in the segments' rows of the regions; the other rows are for `group` to fill."""
    num_planes, height, width = planes.shape
    channel = ORIENTATIONS * TEXTURE_BINS
    sizes = np.zeros(2 * count - 1, np.int32)
    boxes = np.zeros((2 * count - 1, 4), np.int32)
    boxes[:, 0], boxes[:, 1] = width, height
    halves = np.full((2 * count - 1, 2), -1, np.int32)
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
    return Regions(sizes, boxes, halves, colours, textures, height * width)


def touching(labels: Integers) -> Integers:
    """Find the pairs of segments that have pixels side by side or one above the other, ascending."""
    count = int(labels.max()) + 1
    keys = []
    for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        border = one != other
        first, second = one[border].astype(np.int64), other[border]
        keys.append(np.minimum(first, second) * count + np.maximum(first, second))
    return np.stack(np.divmod(np.unique(np.concatenate(keys)), count), axis=1).astype(np.int32)


@fast
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


@fast
def chained(pairs: Integers, num_regions: int) -> tuple[Integers, Integers, Integers]:
    """Chain each region's neighbours: a node's region, the node after it, and each region's first node.

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


@fast
def merge(regions: Regions, one: int, other: int, new: int) -> None:
    """Fill in the row of the region that two make; histograms are averaged by size (equation 2)."""
    sizes, boxes = regions.sizes, regions.boxes
    sizes[new] = sizes[one] + sizes[other]
    regions.halves[new, 0], regions.halves[new, 1] = one, other
    for side in range(2):
        boxes[new, side] = min(boxes[one, side], boxes[other, side])
        boxes[new, side + 2] = max(boxes[one, side + 2], boxes[other, side + 2])
    share = np.float32(sizes[one] / sizes[new])
    for histograms in (regions.colours, regions.textures):
        for column in range(histograms.shape[1]):
            ours, others = histograms[one, column], histograms[other, column]
            histograms[new, column] = others + share * (ours - others)


@fast
def similarity(regions: Regions, one: int, other: int, weights: Floats) -> np.float32:
    """Sum the weighted similarities in colour, texture, size and fill (equation 6)."""
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


@fast
def intersection(one: Floats, other: Floats) -> np.float32:
    """Measure what two histograms share (equations 1 and 3)."""
    shared = np.float32(0)
    for column in range(len(one)):
        shared += min(one[column], other[column])
    return shared
