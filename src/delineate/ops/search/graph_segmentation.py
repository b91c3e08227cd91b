"""Efficient graph-based segmentation (Felzenszwalb & Huttenlocher 2004, IJCV).

    planes   float32 (c, h, w): the channels of a picture, 0 .. 255
    weights  uint16 (h, w, 4): of each pixel's edges in the `DIRECTIONS`, in steps of 1 / `LEVELS` grey level
    edges    int32 (e,): `pixel * 4 + direction`, in ascending order of weight
    forest   int32 (h * w,): each pixel's parent in its region's tree; at a root, minus the region's size
    labels   int32 (h, w): the regions' numbers 0 .. n-1, in the order of their first pixels

Deviation from the paper: weights are rounded to 1/128 of a grey level, so that sorting them is counting.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from delineate.ops.compiling import compiled

# Half of the eight neighbours of a pixel; the other half are edges of theirs. Columns: down, right.
DIRECTIONS = ((0, 1), (1, -1), (1, 0), (1, 1))
LEVELS = 128
NUM_WEIGHTS = 2**16  # the largest distance of three channels is sqrt(3) * 255 * 128 = 56533

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

fast = partial(compiled, fastmath=True)
"""Sums may be reordered, as without it they would run one by one."""


def graph_segmentation(planes: Floats, scales: tuple[int, ...], min_size: int, sigma: float) -> list[Integers]:
    """Label the picture's regions, one array `(h, w)` for each scale `k` of section 3.1.

    `sigma` is the deviation of the Gaussian that smooths the picture; at last, regions of fewer than `min_size` pixels
    join the neighbour with the least edge between them.
    """
    smooth = gaussian(sigma)
    weights = edge_weights(convolved(planes, smooth, smooth))
    edges = sorted_edges(weights)
    size = planes.shape[1:]
    return [
        numbered(grown(weights, edges, size, np.float32(scale * LEVELS), min_size)).reshape(size) for scale in scales
    ]


def gaussian(sigma: float, *, derivative: bool = False) -> Floats:
    """Sample a Gaussian out to three deviations, with sum one, or its derivative, with slope one."""
    radius = int(np.ceil(3 * sigma))
    at = np.arange(-radius, radius + 1)
    values = np.exp(-(at**2) / (2 * sigma**2))
    kernel = at * values / (at**2 * values).sum() if derivative else values / values.sum()
    return np.asarray(kernel, np.float32)


@fast
def convolved(planes: Floats, down: Floats, right: Floats) -> Floats:
    """Correlate each plane with a kernel along its columns and one along its rows; borders are repeated."""
    num_planes, height, width = planes.shape
    high, wide = len(down) // 2, len(right) // 2
    output = np.zeros_like(planes)
    line = np.empty(width + 2 * wide, np.float32)
    for plane in range(num_planes):
        for y in range(height):
            middle = line[wide : wide + width]
            middle[:] = 0
            for tap in range(len(down)):
                source = planes[plane, min(max(y + tap - high, 0), height - 1)]
                weight = down[tap]
                for x in range(width):
                    middle[x] += weight * source[x]
            line[:wide] = line[wide]
            line[wide + width :] = line[wide + width - 1]
            row = output[plane, y]
            for tap in range(len(right)):
                weight = right[tap]
                for x in range(width):
                    row[x] += weight * line[x + tap]
    return output


@fast
def edge_weights(planes: Floats) -> NDArray[np.uint16]:
    """Weigh each pixel's edges, `(h, w, 4)`, by Euclidean distance; without a neighbour the weight is the largest."""
    num_planes, height, width = planes.shape
    weights = np.full((height, width, 4), NUM_WEIGHTS - 1, np.uint16)
    for direction, (down, right) in enumerate(DIRECTIONS):
        for y in range(height - down):
            for x in range(max(0, -right), width - max(0, right)):
                square = np.float32(0)
                for plane in range(num_planes):
                    step = planes[plane, y + down, x + right] - planes[plane, y, x]
                    square += step * step
                weights[y, x, direction] = np.uint16(np.sqrt(square) * np.float32(LEVELS) + np.float32(0.5))
    return weights


@fast
def sorted_edges(weights: NDArray[np.uint16]) -> Integers:
    """Sort the edges by their weights, ascending; equal ones keep their order."""
    flat = weights.reshape(-1)
    starts = np.zeros(NUM_WEIGHTS + 1, np.int32)
    for weight in flat:
        starts[np.int64(weight) + 1] += 1
    num_edges = len(flat) - starts[NUM_WEIGHTS]
    starts = np.cumsum(starts).astype(np.int32)
    edges = np.empty(num_edges, np.int32)
    for edge in range(len(flat)):
        weight = flat[edge]
        if weight != NUM_WEIGHTS - 1:
            edges[starts[weight]] = edge
            starts[weight] += 1
    return edges


@fast
def root(forest: Integers, pixel: int) -> int:
    """Find the root of the pixel's tree; the path to it is halved."""
    while forest[pixel] >= 0:
        parent = int(forest[pixel])
        if forest[parent] < 0:
            return parent
        forest[pixel] = forest[parent]
        pixel = int(forest[parent])
    return pixel


@fast
def join(forest: Integers, one: int, other: int) -> int:
    """Make one tree of two, given their roots; returns its root."""
    if forest[one] > forest[other]:
        one, other = other, one
    forest[one] += forest[other]
    forest[other] = one
    return one


@fast
def grown(
    weights: NDArray[np.uint16], edges: Integers, size: tuple[int, int], scale: np.float32, min_size: int
) -> Integers:
    """Grow the forest of regions by algorithm 1 of the paper, then join the small ones to their neighbours."""
    flat = weights.reshape(-1)
    height, width = size
    steps = np.array([down * width + right for down, right in DIRECTIONS], np.int32)
    forest = np.full(height * width, -1, np.int32)
    limits = np.full(height * width, scale, np.float32)  # Int(C) + k / |C|, section 3.1
    num_left = 0
    left = np.empty((len(edges), 2), np.int32)
    for edge in edges:
        pixel = edge >> 2
        one, other = root(forest, pixel), root(forest, pixel + steps[edge & 3])
        if one == other:
            continue
        weight = flat[edge]
        if weight <= limits[one] and weight <= limits[other]:
            whole = join(forest, one, other)
            limits[whole] = weight - scale / forest[whole]
        else:
            left[num_left, 0], left[num_left, 1] = one, other
            num_left += 1
    for row in range(num_left):
        one, other = root(forest, left[row, 0]), root(forest, left[row, 1])
        if one != other and -max(forest[one], forest[other]) < min_size:
            join(forest, one, other)
    return forest


@fast
def numbered(forest: Integers) -> Integers:
    """Number the roots in the order of their first pixels."""
    labels = np.empty_like(forest)
    numbers = np.full(len(forest), -1, np.int32)
    count = 0
    for pixel in range(len(forest)):
        top = root(forest, pixel)
        if numbers[top] < 0:
            numbers[top] = count
            count += 1
        labels[pixel] = numbers[top]
    return labels
