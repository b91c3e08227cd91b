import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from delineate.ops.anchors import base_anchors, cluster_shapes, default_boxes, grid_anchors, shape_iou


def test_an_aspect_ratio_is_height_by_width_and_a_size_the_root_of_the_area() -> None:
    # 16 / sqrt(2) = 11.3 and 16 * sqrt(2) = 22.6, halved and rounded
    wide, square, tall = base_anchors([16.0], [0.5, 1.0, 2.0]).tolist()
    assert wide == [-11, -6, 11, 6]
    assert square == [-8, -8, 8, 8]
    assert tall == [-6, -11, 6, 11]


def test_sizes_change_faster_than_aspect_ratios() -> None:
    assert base_anchors([2.0, 4.0], [1.0, 4.0]).tolist() == [
        [-1, -1, 1, 1],
        [-2, -2, 2, 2],
        [0, -2, 0, 2],  # torch rounds halves to even
        [-1, -4, 1, 4],
    ]


def test_anchors_move_over_the_grid_row_by_row() -> None:
    base = torch.tensor([[-1.0, -2.0, 1.0, 2.0], [0.0, 0.0, 3.0, 3.0]])
    placed = grid_anchors(base, (2, 3), (8.0, 4.0))
    assert placed[0::2].tolist() == [[x - 1, y - 2, x + 1, y + 2] for y in (0, 8) for x in (0, 4, 8)]
    assert placed[1::2].tolist() == [[x, y, x + 3, y + 3] for y in (0, 8) for x in (0, 4, 8)]


@pytest.mark.parametrize("sizes", [((32.0, 64.0, 128.0),), ((16.0,), (45.0,)), ((20.0, 30.0), (40.0, 60.0))])
def test_anchors_are_torchvisions(sizes: tuple[tuple[float, ...], ...]) -> None:
    ratios = (0.5, 1.0, 2.0)
    grids = [(12, 15), (6, 8)][: len(sizes)]
    images = ImageList(torch.zeros(1, 3, 96, 120), [(96, 120)])
    (expected,) = AnchorGenerator(sizes, (ratios,) * len(sizes))(images, [torch.zeros(1, 1, *grid) for grid in grids])
    placed = [
        grid_anchors(base_anchors(level, ratios), grid, (float(96 // grid[0]), float(120 // grid[1])))
        for level, grid in zip(sizes, grids, strict=True)
    ]
    assert torch.equal(torch.cat(placed), expected)


def test_default_boxes_lie_around_the_centres_of_cells() -> None:
    placed = default_boxes(torch.tensor([[4.0, 2.0], [10.0, 10.0]]), (2, 3), (8.0, 6.0))
    centres = [[3 + 6 * column, 4 + 8 * row] for row in range(2) for column in range(3)]
    assert placed[0::2].tolist() == [[x - 2, y - 1, x + 2, y + 1] for x, y in centres]
    assert placed[1::2].tolist() == [[x - 5, y - 5, x + 5, y + 5] for x, y in centres]


def sizes_around(*shapes: tuple[float, float], count: int = 30) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.cat(
        [torch.tensor(shape) * (0.9 + 0.2 * torch.rand(count, 2, generator=generator)) for shape in shapes]
    )


def test_the_iou_of_shapes_is_that_of_boxes_around_one_centre() -> None:
    sizes, others = 1 + 9 * torch.rand(7, 2), 1 + 9 * torch.rand(4, 2)
    boxes, other_boxes = (torch.cat([-some, some], 1) / 2 for some in (sizes, others))
    torch.testing.assert_close(shape_iou(sizes, others), box_iou(boxes, other_boxes))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shapes_that_lie_apart_are_found_small_to_large(seed: int) -> None:
    shapes = [(10.0, 10.0), (12.0, 40.0), (90.0, 30.0)]
    chosen = cluster_shapes(sizes_around(*shapes), 3, seed=seed)
    torch.testing.assert_close(chosen, torch.tensor(shapes), rtol=0.05, atol=0)


def test_more_shapes_fit_better_and_each_is_the_mean_of_its_own() -> None:
    sizes = 5 + 95 * torch.rand(200, 2, generator=torch.Generator().manual_seed(1))
    means = []
    for count in (1, 3, 9):
        chosen = cluster_shapes(sizes, count)
        iou, nearest = shape_iou(sizes, chosen).max(1)
        means.append(float(iou.mean()))
        for number, shape in enumerate(chosen):
            torch.testing.assert_close(shape, sizes[nearest == number].mean(0))
    assert means[0] < means[1] < means[2]


def test_distances_are_by_iou_and_not_by_pixels() -> None:
    # in pixels the two large ones are farthest apart; by IoU the tiny one is another kind of box
    sizes = torch.tensor([[4.0, 4.0], [10.0, 10.0], [200.0, 200.0], [230.0, 230.0]])
    small, middle, large = cluster_shapes(sizes, 3).tolist()
    assert (small, middle) == ([4.0, 4.0], [10.0, 10.0])
    assert large == [215.0, 215.0]


def test_fewer_sizes_than_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 different sizes cannot make 3 shapes"):
        cluster_shapes(torch.tensor([[4.0, 4.0], [10.0, 10.0], [4.0, 4.0]]), 3)
