import colorsys
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

from delineate.ops.search import selective_search as module
from delineate.ops.search.colour_spaces import colour_space
from delineate.ops.search.graph_segmentation import convolved, gaussian, graph_segmentation
from delineate.ops.search.grouping import Regions, described, group, texture_codes, touching
from delineate.ops.search.selective_search import (
    FAST,
    MAX_AREA,
    MIN_SIZE,
    SIGMA,
    Strategies,
    hierarchies,
    ordered,
    selective_search,
)


def picture_of_shapes() -> tuple[Tensor, Tensor]:
    """Rectangles and disks on gray, with a little noise, and their boxes."""
    image = torch.full((3, 80, 100), 128.0)
    boxes = [(8, 6, 40, 26), (60, 8, 90, 38), (12, 44, 38, 70), (58, 50, 94, 72)]
    colours = [(220, 30, 30), (30, 200, 40), (40, 60, 220), (230, 220, 30)]
    rows, columns = torch.meshgrid(torch.arange(80) + 0.5, torch.arange(100) + 0.5, indexing="ij")
    for number, ((x1, y1, x2, y2), colour) in enumerate(zip(boxes, colours, strict=True)):
        across, down = (columns - (x1 + x2) / 2) / (x2 - x1) * 2, (rows - (y1 + y2) / 2) / (y2 - y1) * 2
        inside = across**2 + down**2 <= 1 if number % 2 else (across.abs() <= 1) & (down.abs() <= 1)
        image[:, inside] = torch.tensor(colour, dtype=torch.float32)[:, None]
    noisy = image + 3 * torch.randn(image.shape)
    return noisy.round().clamp(0, 255).to(torch.uint8), torch.tensor(boxes, dtype=torch.float32)


def noise(height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8)


def check(boxes: Tensor, image: Tensor) -> None:
    height, width = image.shape[1:]
    assert boxes.dtype == torch.float32
    assert len(boxes) >= 1
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= torch.tensor([width, height])).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert len(boxes.unique(dim=0)) == len(boxes)
    assert [0, 0, width, height] in boxes.tolist()


@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_objects_of_a_simple_picture_are_among_the_first_boxes(mode: str) -> None:
    image, objects = picture_of_shapes()
    boxes = selective_search(image, mode=mode)  # type: ignore[arg-type]
    check(boxes, image)
    assert (box_iou(objects, boxes[:50]).max(1).values > 0.8).all()


def test_the_same_picture_has_the_same_boxes_in_any_thread() -> None:
    image, other = picture_of_shapes()[0], noise(64, 80)
    expected = [selective_search(image), selective_search(other)] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(selective_search, [image, other] * 4))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def test_max_proposals_keeps_the_first() -> None:
    image = noise(64, 80)
    boxes = selective_search(image)
    assert len(boxes) > 10
    assert torch.equal(selective_search(image, max_proposals=10), boxes[:10])
    assert torch.equal(selective_search(image, max_proposals=10**6), boxes)


@pytest.mark.parametrize("size", [(1, 1), (5, 5), (1, 90), (90, 1), (2, 3), (7, 300)])
@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_odd_sizes(size: tuple[int, int], mode: str) -> None:
    image = noise(*size)
    check(selective_search(image, mode=mode), image)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_picture_of_one_gray_is_one_box(value: int) -> None:
    image = torch.full((3, 40, 50), value, dtype=torch.uint8)
    assert selective_search(image).tolist() == [[0, 0, 50, 40]]


def test_a_picture_that_lies_otherwise_in_memory() -> None:
    image, _ = picture_of_shapes()
    assert torch.equal(selective_search(image.permute(1, 2, 0).contiguous().permute(2, 0, 1)), selective_search(image))


def test_a_large_picture_is_searched_smaller_and_its_boxes_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    image, objects = picture_of_shapes()
    large = image.repeat_interleave(3, 1).repeat_interleave(3, 2)[:, :-1]
    assert large[0].numel() < MAX_AREA
    monkeypatch.setattr(module, "MAX_AREA", 8000)
    boxes = selective_search(large)
    check(boxes, large)
    assert (box_iou(objects * 3, boxes[:50]).max(1).values > 0.8).all()
    long = noise(1, 9001)
    check(selective_search(long), long)


def test_a_hierarchy_of_n_segments_has_2n_minus_1_regions() -> None:
    planes = colour_space(noise(50, 60).numpy(), "hsv")
    strategies = Strategies(("hsv",), (10, 20), FAST.similarities)
    segmentations = graph_segmentation(planes, strategies.scales, MIN_SIZE, SIGMA)
    found = list(hierarchies(planes, strategies))
    assert len(found) == len(segmentations) * len(strategies.similarities)
    for index, (labels, boxes, halves) in enumerate(found):
        assert (labels == segmentations[index // 2]).all()
        count = int(labels.max()) + 1
        assert count > 5
        assert len(boxes) == 2 * count - 1
        assert boxes[-1].tolist() == [0, 0, 60, 50]
        assert (halves[:count] == -1).all()
        assert sorted(halves[count:].flatten()) == list(range(2 * count - 2)), "each but the last is a half of one"
        united = np.concatenate([boxes[halves[count:], :2].min(1), boxes[halves[count:], 2:].max(1)], 1)
        assert (boxes[count:] == united).all()
        for label in range(count):
            rows, columns = (labels == label).nonzero()
            assert boxes[label].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


# Sizes and fills alone have too many ties to compare.
@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (0, 1, 1, 1), (1, 0, 0, 0), (0, 1, 0, 0)])
def test_grouping_is_what_comparing_all_neighbours_each_time_gives(weights: tuple[int, int, int, int]) -> None:
    planes = colour_space(picture_of_shapes()[0].numpy(), "hsv")
    (labels,) = graph_segmentation(planes, (20,), 20, 0.5)
    count = int(labels.max()) + 1
    regions, pairs = described(planes, texture_codes(planes), labels, count), touching(labels)
    torch.testing.assert_close(regions.colours[:count].sum(1), np.ones(count, np.float32))
    torch.testing.assert_close(regions.textures[:count].sum(1), np.ones(count, np.float32))
    expected = naive_group(regions, pairs.tolist(), weights)
    group(regions, pairs, np.array(weights, np.float32))
    assert count > 10
    assert regions.boxes.tolist() == expected


def naive_group(regions: Regions, pairs: list[list[int]], weights: tuple[int, ...]) -> list[list[int]]:
    """Algorithm 1 of the paper, word for word; pixels are counted again for every region."""
    count = (len(regions.sizes) + 1) // 2
    sizes, boxes = regions.sizes[:count].tolist(), regions.boxes[:count].tolist()
    histograms = [
        [part[row].astype(np.float64) for part in (regions.colours, regions.textures)] for row in range(count)
    ]

    def united(one: int, other: int) -> list[int]:
        first, second = boxes[one], boxes[other]
        return [min(first[0], second[0]), min(first[1], second[1]), max(first[2], second[2]), max(first[3], second[3])]

    def similarity(pair: tuple[int, int]) -> float:
        one, other = pair
        x1, y1, x2, y2 = united(one, other)
        size = sizes[one] + sizes[other]
        colour, texture = (np.minimum(*both).sum() for both in zip(histograms[one], histograms[other], strict=True))
        fill = 1 - ((x2 - x1) * (y2 - y1) - size) / regions.area
        return float(np.dot(weights, [colour, texture, 1 - size / regions.area, fill]))

    alive = {(one, other) for one, other in pairs}
    while alive:
        one, other = max(sorted(alive), key=similarity)
        new = len(sizes)
        boxes.append(united(one, other))
        sizes.append(sizes[one] + sizes[other])
        parts = zip(histograms[one], histograms[other], strict=True)
        histograms.append([(a * sizes[one] + b * sizes[other]) / sizes[new] for a, b in parts])
        moved = {tuple(sorted(new if region in (one, other) else region for region in pair)) for pair in alive}
        alive = {(first, second) for first, second in moved if first != second}
    return boxes


def test_earlier_boxes_are_nearer_to_the_top_and_each_comes_once() -> None:
    hierarchy = np.array([[x, 0, x + 1, 1] for x in range(99)], np.int32)
    boxes = ordered([hierarchy, hierarchy], (1, 99))
    assert sorted(boxes[:, 0]) == list(range(99))
    assert boxes[:33, 0].mean() > boxes[-33:, 0].mean() + 20


def test_colour_spaces() -> None:
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [10, 20, 200], [200, 10, 150], [255, 255, 255], [0, 0, 0]])
    rgb = colours.T[:, None].to(torch.uint8).numpy()
    expected = np.array([colorsys.rgb_to_hsv(*(colours[row] / 255).tolist()) for row in range(6)]) * 255
    np.testing.assert_allclose(colour_space(rgb, "hsv")[:, 0].T, expected, atol=1e-3)
    np.testing.assert_allclose(colour_space(rgb, "h")[0, 0], expected[:, 0], atol=1e-3)
    # L*a*b* as in the tables of sRGB's primaries, white and black
    lab = colour_space(rgb, "lab")[:, 0].T * [1 / 2.55, 1, 1] - [0, 128, 128]
    tabled = [(53.24, 80.09, 67.20), (87.73, -86.18, 83.18), (100, 0, 0), (0, 0, 0)]
    np.testing.assert_allclose(lab[[0, 1, 4, 5]], tabled, atol=0.05)
    np.testing.assert_allclose(colour_space(rgb, "rgi")[:, 0, 2], [10 / 230 * 255, 20 / 230 * 255, 230 / 3], rtol=1e-5)
    np.testing.assert_allclose(colour_space(rgb, "i")[:, 0, 2], [230 / 3], rtol=1e-5)


@pytest.mark.parametrize(("scale", "min_size"), [(30, 1), (60, 4), (150, 8)])
def test_graph_segmentation_is_the_papers_algorithm(scale: int, min_size: int) -> None:
    planes = (torch.rand(3, 13, 17) * 195 + torch.linspace(0, 60, 17)).numpy()
    smoothed = convolved(planes, gaussian(0.6), gaussian(0.6))
    (labels,) = graph_segmentation(planes, (scale,), min_size, 0.6)
    expected = naive_segmentation(smoothed, scale, min_size)
    assert 2 <= len(np.unique(expected)) < 13 * 17
    assert labels.tolist() == expected.tolist()


def naive_segmentation(planes: NDArray[np.float32], scale: int, min_size: int) -> NDArray[np.int64]:
    """Sets of pixels that are joined edge by edge; weights are rounded as ours are."""
    _, height, width = planes.shape
    edges = []
    for y, x in itertools.product(range(height), range(width)):
        for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
            if y + down < height and 0 <= x + right < width:
                distance = np.sqrt(((planes[:, y, x] - planes[:, y + down, x + right]) ** 2).sum())
                edges.append((round(float(distance) * 128) / 128, (y, x), (y + down, x + right)))
    edges.sort(key=lambda edge: edge[0])
    region = {(y, x): {(y, x)} for y, x in itertools.product(range(height), range(width))}
    largest = dict.fromkeys(map(id, region.values()), 0.0)

    def unite(one: set[tuple[int, int]], other: set[tuple[int, int]], weight: float) -> None:
        one |= other
        largest[id(one)] = weight
        for pixel in other:
            region[pixel] = one

    for weight, first, second in edges:
        one, other = region[first], region[second]
        if one is not other and all(weight <= largest[id(it)] + scale / len(it) for it in (one, other)):
            unite(one, other, weight)
    for weight, first, second in edges:
        one, other = region[first], region[second]
        if one is not other and min(len(one), len(other)) < min_size:
            unite(one, other, weight)
    numbers: dict[int, int] = {}
    pixels = itertools.product(range(height), range(width))
    labels = [numbers.setdefault(id(region[pixel]), len(numbers)) for pixel in pixels]
    return np.array(labels).reshape(height, width)


def test_regions_of_a_segmentation_are_large_enough_and_connected() -> None:
    planes = noise(40, 50).float().numpy()
    for labels in graph_segmentation(planes, (50, 300), 25, 0.8):
        assert np.bincount(labels.ravel()).min() >= 25
        assert labels[0, 0] == 0
        firsts = np.unique(labels, return_index=True)[1]
        assert (np.diff(firsts) > 0).all()


def test_kernels() -> None:
    smooth, slope = gaussian(1.0), gaussian(1.0, derivative=True)
    ramp = np.tile(np.arange(30, dtype=np.float32) * 3, (1, 20, 1))
    np.testing.assert_allclose(convolved(ramp, smooth, slope)[0, :, 4:-4], 3, rtol=1e-5)
    np.testing.assert_allclose(convolved(ramp, slope, smooth)[0], 0, atol=1e-4)
    np.testing.assert_allclose(convolved(ramp, smooth, smooth)[0, :, 4:-4], ramp[0, :, 4:-4], rtol=1e-5)
