import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from delineate.ops.anchors import base_anchors, default_boxes, grid_anchors


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
    found = grid_anchors(base, (2, 3), (8.0, 4.0))
    assert found[0::2].tolist() == [[x - 1, y - 2, x + 1, y + 2] for y in (0, 8) for x in (0, 4, 8)]
    assert found[1::2].tolist() == [[x, y, x + 3, y + 3] for y in (0, 8) for x in (0, 4, 8)]


@pytest.mark.parametrize("sizes", [((32.0, 64.0, 128.0),), ((16.0,), (45.0,)), ((20.0, 30.0), (40.0, 60.0))])
def test_anchors_are_torchvisions(sizes: tuple[tuple[float, ...], ...]) -> None:
    ratios = (0.5, 1.0, 2.0)
    grids = [(12, 15), (6, 8)][: len(sizes)]
    images = ImageList(torch.zeros(1, 3, 96, 120), [(96, 120)])
    (expected,) = AnchorGenerator(sizes, (ratios,) * len(sizes))(images, [torch.zeros(1, 1, *grid) for grid in grids])
    found = [
        grid_anchors(base_anchors(level, ratios), grid, (float(96 // grid[0]), float(120 // grid[1])))
        for level, grid in zip(sizes, grids, strict=True)
    ]
    assert torch.equal(torch.cat(found), expected)


def test_default_boxes_lie_around_the_centres_of_cells() -> None:
    found = default_boxes(torch.tensor([[4.0, 2.0], [10.0, 10.0]]), (2, 3), (8.0, 6.0))
    centres = [[3 + 6 * column, 4 + 8 * row] for row in range(2) for column in range(3)]
    assert found[0::2].tolist() == [[x - 2, y - 1, x + 2, y + 1] for x, y in centres]
    assert found[1::2].tolist() == [[x - 5, y - 5, x + 5, y + 5] for x, y in centres]
