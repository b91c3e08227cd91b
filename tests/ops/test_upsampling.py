"""The upsamplers against their formulas and the literature's worked examples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from delineate.ops.upsampling import bed_of_nails, bilinear, bilinear_kernel, max_unpool, nearest, transposed

SQUARE = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]


def test_nearest_repeats_each_value() -> None:
    expected = torch.tensor([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])
    assert torch.equal(nearest(SQUARE, 2)[0, 0], expected.float())


def test_bed_of_nails_puts_values_at_the_first_corner() -> None:
    expected = torch.tensor([[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])
    assert torch.equal(bed_of_nails(SQUARE, 2)[0, 0], expected.float())


def test_bilinear_between_pixel_centres() -> None:
    row = torch.tensor([[[0.0, 4.0]]])
    assert torch.equal(bilinear(row, 2), torch.tensor([[[0.0, 1.0, 3.0, 4.0]]]))


def test_max_unpooling_puts_values_back_where_they_came_from() -> None:
    picture = torch.tensor([[1, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]]).float()[None, None]
    pooled, indices = F.max_pool2d(picture, 2, return_indices=True)
    assert torch.equal(pooled[0, 0], torch.tensor([[5.0, 6.0], [7.0, 8.0]]))
    expected = torch.tensor([[0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]).float()
    assert torch.equal(max_unpool(SQUARE, indices, (4, 4))[0, 0], expected)


def test_max_unpooling_in_one_dimension() -> None:
    pooled, indices = F.max_pool1d(torch.tensor([[[1.0, 5.0, 3.0, 2.0]]]), 2, return_indices=True)
    assert torch.equal(max_unpool(pooled * 10, indices, (4,)), torch.tensor([[[0.0, 50.0, 30.0, 0.0]]]))


def test_transposed_convolution_in_one_dimension() -> None:
    # input (a, b), kernel (x, y, z), stride 2: copies of the kernel at places 0 and 2, summed where they overlap
    a, b, x, y, z = 2.0, 3.0, 5.0, 7.0, 11.0
    found = transposed(torch.tensor([[[a, b]]]), torch.tensor([[[x, y, z]]]), 2)
    assert found.flatten().tolist() == [a * x, a * y, a * z + b * x, b * y, b * z]


def test_transposed_convolution_of_2x2_by_2x2_at_stride_1_is_3x3_with_overlaps_summed() -> None:
    kernel = torch.tensor([[1.0, 10.0], [100.0, 1000.0]])[None, None]
    expected = torch.tensor([[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]).float()
    assert torch.equal(transposed(SQUARE, kernel, 1)[0, 0], expected)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    stride=st.integers(1, 3),
    kernel=st.integers(1, 4),
    data=st.data(),
)
def test_transposed_convolution_equals_its_formula(
    rows: int, columns: int, stride: int, kernel: int, data: st.DataObject
) -> None:
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    x, weight = torch.randn(1, 2, rows, columns), torch.randn(2, 3, kernel, kernel)
    expected = torch.zeros(3, (rows - 1) * stride + kernel, (columns - 1) * stride + kernel)
    for i in range(rows):
        for j in range(columns):
            here = (slice(None), slice(i * stride, i * stride + kernel), slice(j * stride, j * stride + kernel))
            expected[here] += torch.einsum("c,cdkl->dkl", x[0, :, i, j], weight)
    torch.testing.assert_close(transposed(x, weight, stride)[0], expected)


def test_transposed_convolution_is_bed_of_nails_and_a_convolution() -> None:
    x, weight = torch.randn(1, 1, 3, 4), torch.randn(1, 1, 3, 3)
    nails = F.pad(bed_of_nails(x, 2), (2, 2, 2, 2))
    blurred = F.conv2d(nails, weight.flip(2, 3))[..., : 2 * 2 + 3, : 3 * 2 + 3]
    torch.testing.assert_close(transposed(x, weight, 2), blurred)


@pytest.mark.parametrize("factor", [2, 4, 8, 16, 32])
def test_bilinear_kernel_interpolates(factor: int) -> None:
    x = torch.randn(1, 1, 5, 6)
    found = transposed(x, bilinear_kernel(factor)[None, None], factor, padding=factor // 2)
    inner = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(found[inner], bilinear(x, factor)[inner])


def test_bilinear_kernel_of_factor_2() -> None:
    side = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.equal(bilinear_kernel(2), side[:, None] * side)
