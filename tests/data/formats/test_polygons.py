import numpy as np
import torch
from faster_coco_eval.core import mask as coco_masks
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

from delineate.data.formats.polygons import outline


def test_corners_of_a_square_with_a_hole() -> None:
    mask = torch.ones(3, 3, dtype=torch.bool)
    mask[1, 1] = False
    corners = [(0, 0), (3, 0), (3, 3), (0, 3)]
    hole = {(1, 1), (2, 1), (2, 2), (1, 2)}
    drawn = [tuple(corner) for corner in outline(mask).astype(int).tolist()]
    assert drawn[:5] == [*corners, corners[0]]
    assert set(drawn[5:]) == hole
    assert drawn[5] == drawn[-1]


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_filling_the_outline_gives_the_mask_back(mask: np.ndarray) -> None:
    if mask.any():
        corners = outline(torch.from_numpy(mask))
        (rle,) = coco_masks.frPyObjects([corners.flatten().tolist()], *mask.shape)
        assert (coco_masks.decode(rle).astype(bool) == mask).all()


def test_pixels_that_touch_at_a_corner_are_one_ring() -> None:
    assert len(outline(torch.eye(5, dtype=torch.bool))) == 5 * 4
