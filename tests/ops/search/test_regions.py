import numpy as np
import torch
from tests.ops.search.test_selective_search import picture_of_shapes
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from delineate.ops.search.regions import region_mask, rows_at, search_regions
from delineate.ops.search.selective_search import selective_search


def around(mask: Tensor) -> list[int]:
    rows, columns = mask.nonzero(as_tuple=True)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


def test_a_region_fills_its_box() -> None:
    searched = search_regions(picture_of_shapes()[0])
    for row in range(0, len(searched.boxes), 7):
        assert searched.boxes[row].tolist() == around(region_mask(searched, row))


def test_all_boxes_of_the_search_are_of_regions() -> None:
    image, _ = picture_of_shapes()
    found = {tuple(box) for box in search_regions(image).boxes.tolist()}
    assert found == {tuple(box) for box in selective_search(image).tolist()}


def test_the_regions_at_a_point_are_those_that_hold_it() -> None:
    searched = search_regions(picture_of_shapes()[0])
    rows = set(rows_at(searched, 20.5, 15.5).tolist())
    holding = {row for row in range(len(searched.boxes)) if region_mask(searched, row)[15, 20]}
    assert len(holding) > len(searched.trees)
    assert rows == holding


def test_a_shape_is_found_pixel_for_pixel() -> None:
    image, boxes = picture_of_shapes()
    searched = search_regions(image)
    disk = int(np.abs(searched.boxes.numpy() - boxes[1].numpy()).max(1).argmin())
    mask = region_mask(searched, disk)
    y, x = torch.meshgrid(torch.arange(80) + 0.5, torch.arange(100) + 0.5, indexing="ij")
    truth = (x - 75) ** 2 + (y - 23) ** 2 < 15**2
    assert float((mask & truth).sum() / (mask | truth).sum()) > 0.85


def test_masks_of_large_pictures_have_their_size() -> None:
    large = resize(picture_of_shapes()[0], [800, 1000])
    searched = search_regions(large)
    mask = region_mask(searched, len(searched.trees[0].boxes) - 1)
    assert mask.shape == (800, 1000)
    assert bool(mask.all()), "the last region of a tree is the picture"
    assert searched.boxes.max() == 1000
    assert rows_at(searched, 999.9, 799.9).numel() > len(searched.trees)
