import numpy as np
import pycocotools.mask
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor

from delineate.ops import decode_rle, encode_rle, paint_label_map


def rectangle(y1: int, y2: int, x1: int, x2: int) -> Tensor:
    mask = torch.zeros(8, 12, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


@settings(max_examples=60, deadline=None)
@given(arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=9)))
def test_round_trip_and_equality_with_pycocotools(array: np.ndarray) -> None:
    masks = torch.from_numpy(array)
    rles = encode_rle(masks)
    assert torch.equal(decode_rle(rles, tuple(masks.shape[1:])), masks)
    for rle, mask in zip(rles, array, strict=True):
        theirs = pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert rle == {"size": list(theirs["size"]), "counts": theirs["counts"].decode()}


@pytest.mark.parametrize("fill", [False, True])
def test_empty_and_full(fill: bool) -> None:
    masks = torch.full((2, 5, 7), fill)
    assert torch.equal(decode_rle(encode_rle(masks), (5, 7)), masks)


def test_no_masks() -> None:
    assert encode_rle(torch.zeros(0, 5, 7, dtype=torch.bool)) == []
    assert decode_rle([], (5, 7)).shape == (0, 5, 7)


def test_masks_that_are_views() -> None:
    masks = torch.rand(3, 6, 9) < 0.5
    flipped = masks.flip(2).transpose(1, 2)[::2]
    assert torch.equal(decode_rle(encode_rle(flipped), (9, 6)), flipped)


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mask 1: its \(height, width\) is \(5, 7\), the picture's is \(7, 5\)"):
        decode_rle(
            encode_rle(torch.ones(1, 7, 5, dtype=torch.bool)) + encode_rle(torch.ones(1, 5, 7, dtype=torch.bool)),
            (7, 5),
        )


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_smaller_masks_are_painted_over_larger_ones(order: list[int]) -> None:
    masks = torch.stack([rectangle(0, 8, 0, 6), rectangle(2, 5, 2, 9), rectangle(3, 4, 3, 4)])
    label_map = paint_label_map(masks[order], torch.tensor([7, 0, 255])[order], background=9)
    expected = torch.full((8, 12), 9)
    expected[0:8, 0:6] = 7
    expected[2:5, 2:9] = 0
    expected[3, 3] = 255
    assert torch.equal(label_map, expected)


def test_no_masks_paint_background_alone() -> None:
    empty = torch.zeros(0, 3, 4, dtype=torch.bool)
    assert torch.equal(paint_label_map(empty, torch.zeros(0, dtype=torch.int64), background=2), torch.full((3, 4), 2))
