import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection.roi_heads import paste_masks_in_image

from delineate.ops import decode_rle, encode_rle
from delineate.ops.pasting import paste_masks


def check_equals_torchvision(
    probabilities: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float = 0.5
) -> Tensor:
    rles = paste_masks(probabilities, boxes, size, threshold)
    masks = decode_rle(rles, size)
    theirs = paste_masks_in_image(probabilities[:, None], boxes, size)[:, 0]
    differ = masks != (theirs > threshold)
    assert (theirs[differ] - threshold).abs().le(1e-5).all()
    assert rles == encode_rle(masks)  # the shortest form: no empty runs, no run of zeros at the end
    return masks


def smooth(num: int, side: int = 28) -> Tensor:
    return F.interpolate(torch.randn(num, 1, 7, 7) * 2, size=(side, side), mode="bicubic")[:, 0].sigmoid().contiguous()


@pytest.mark.parametrize("threshold", [0.5, 0.3, 0.9, 0.0])
@pytest.mark.parametrize("smoothed", [True, False])
def test_equality_with_torchvision(threshold: float, smoothed: bool) -> None:
    size = (90, 130)
    sides = torch.exp(torch.empty(40, 2).uniform_(np.log(0.5), np.log(120)))
    corners = torch.rand(40, 2) * torch.tensor([130, 90]) - sides / 2
    probabilities = smooth(40) if smoothed else torch.rand(40, 28, 28)
    masks = check_equals_torchvision(probabilities, torch.cat([corners, corners + sides], dim=1), size, threshold)
    assert masks.flatten(1).any(dim=1).sum() > 10


@settings(max_examples=100, deadline=None)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    centre=st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)),
    sides=st.tuples(st.floats(0, 40, width=32), st.floats(0, 40, width=32)),
    side=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_any_box_that_touches_the_picture(
    size: tuple[int, int], centre: tuple[float, float], sides: tuple[float, float], side: int, seed: int
) -> None:
    middle, halves = torch.tensor(centre) * torch.tensor(size[::-1]), torch.tensor(sides) / 2
    probabilities = torch.rand(1, side, side, generator=torch.Generator().manual_seed(seed))
    check_equals_torchvision(probabilities, torch.cat([middle - halves, middle + halves])[None], size)


@pytest.mark.parametrize(
    "box", [[-50, 2, -20, 8], [2, -50, 8, -20], [40, 2, 60, 8], [2, 40, 8, 60], [12, 2, 14, 8], [-1e9, -9, -1e8, -5]]
)
def test_a_box_outside_the_picture(box: list[float]) -> None:
    assert paste_masks(torch.ones(1, 28, 28), torch.tensor([box], dtype=torch.float32), (10, 10)) == encode_rle(
        torch.zeros(1, 10, 10, dtype=torch.bool)
    )


@pytest.mark.parametrize("box", [[-20.0, -20.0, 30.0, 30.0], [-1e6, -1e6, 1e6, 1e6]])
def test_a_box_around_the_picture_fills_it(box: list[float]) -> None:
    rles = paste_masks(torch.ones(1, 28, 28), torch.tensor([box]), (7, 9))
    assert rles == encode_rle(torch.ones(1, 7, 9, dtype=torch.bool))


def test_full_columns_are_one_run() -> None:
    rles = paste_masks(torch.ones(1, 4, 4), torch.tensor([[3.0, -40.0, 8.0, 50.0]]), (7, 12))
    expected = torch.zeros(1, 7, 12, dtype=torch.bool)
    expected[:, :, 3:8] = True
    assert rles == encode_rle(expected)


def test_parts_and_holes_stay() -> None:
    probabilities = torch.zeros(1, 28, 28)
    probabilities[0, 2:16, 2:16] = 1
    probabilities[0, 6:12, 6:12] = 0  # a hole
    probabilities[0, 20:26, 20:26] = 1  # another part
    mask = check_equals_torchvision(probabilities, torch.tensor([[10.0, 5.0, 66.0, 61.0]]), (80, 70))[0]
    assert mask[13, 18]
    assert not mask[23, 28]
    assert mask[50, 55]
    assert not mask[40, 28]


def test_what_equals_the_threshold_is_outside() -> None:
    assert not decode_rle(
        paste_masks(torch.full((1, 28, 28), 0.5), torch.tensor([[2.0, 2, 9, 9]]), (12, 12)), (12, 12)
    )[0].any()


def test_no_masks() -> None:
    assert paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), (5, 6)) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_and_gradients(dtype: torch.dtype) -> None:
    probabilities = torch.rand(2, 28, 28).round(decimals=1).to(dtype).requires_grad_()
    boxes = torch.tensor([[2.0, 2, 9, 9], [1, 3, 30, 12]], requires_grad=True)
    expected = paste_masks(probabilities.detach().float(), boxes.detach(), (20, 30))
    assert paste_masks(probabilities, boxes, (20, 30)) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_masks_on_a_gpu() -> None:
    probabilities, boxes = smooth(3), torch.tensor([[2.0, 2, 19, 9], [1, 3, 30, 12], [-4, -4, 9, 9]])
    assert paste_masks(probabilities.cuda(), boxes.cuda(), (20, 30)) == paste_masks(probabilities, boxes, (20, 30))
