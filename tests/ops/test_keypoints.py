import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, keypoints_to_heatmap

from delineate.ops.keypoints import decode_heatmaps, keypoint_cells


def random_rois(num: int, smallest: float, largest: float) -> Tensor:
    corners, sides = torch.rand(num, 2) * 100 - 20, torch.empty(num, 2).uniform_(smallest, largest)
    return torch.cat([corners, corners + sides], dim=1)


def peaked(num: int, size: int) -> Tensor:
    """What a trained head gives: one hill a keypoint, some of them cut off by the border."""
    grid, centres = torch.arange(float(size)), torch.rand(num, 5, 2, 1, 1) * (size + 4) - 2
    squares = (grid[:, None] - centres[:, :, 0]) ** 2 + (grid - centres[:, :, 1]) ** 2
    return 12 * (-squares / 8).exp() - 6 + 0.3 * torch.randn(num, 5, size, size)


def check_decoding(heatmaps: Tensor, rois: Tensor) -> None:
    keypoints, scores = decode_heatmaps(heatmaps, rois)
    theirs, their_scores = heatmaps_to_keypoints(heatmaps, rois)
    torch.testing.assert_close(scores, their_scores, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(keypoints, theirs[..., :2], rtol=0, atol=1e-2)


@pytest.mark.parametrize("size", [7, 56])
def test_cells_equal_torchvisions(size: int) -> None:
    rois = random_rois(50, 1, 80)
    sides = rois[:, None, 2:] - rois[:, None, :2]
    keypoints = rois[:, None, :2] + (torch.rand(50, 12, 2) * 1.4 - 0.2) * sides
    keypoints[:, 0] = rois[:, :2]
    keypoints[:, 1] = rois[:, 2:]
    keypoints[:, 2, 0] = rois[:, 2]
    visibility = torch.randint(0, 3, (50, 12))
    cells, counts = keypoint_cells(keypoints, visibility, rois, size)
    theirs, valid = keypoints_to_heatmap(torch.cat([keypoints, visibility[..., None]], dim=2), rois, size)
    assert torch.equal(cells, theirs)
    assert torch.equal(counts, valid.bool())
    assert 0 < counts.sum() < counts.numel()


def test_cells_by_hand() -> None:
    rois = torch.tensor([[10.0, 20, 18, 36]])
    keypoints = torch.tensor([[[10.0, 20], [18, 36], [13.9, 24.1], [9.9, 25], [12, 36.1], [12, 24]]])
    cells, counts = keypoint_cells(keypoints, torch.tensor([[1, 2, 2, 2, 2, 0]]), rois, 4)
    assert cells.tolist() == [[0, 15, 5, 0, 0, 0]]
    assert counts.tolist() == [[True, True, True, False, False, False]]


def test_a_roi_without_area_has_no_cells_but_its_corner() -> None:
    cells, counts = keypoint_cells(
        torch.tensor([[[5.0, 5], [4, 6], [6, 4]]]), torch.full((1, 3), 2), torch.tensor([[5.0, 5, 5, 5]]), 8
    )
    assert cells.tolist() == [[63, 0, 0]]
    assert counts.tolist() == [[True, False, False]]


def test_no_rois() -> None:
    cells, counts = keypoint_cells(
        torch.zeros(0, 17, 2), torch.zeros(0, 17, dtype=torch.int64), torch.zeros(0, 4), size=56
    )
    assert cells.shape == counts.shape == (0, 17)
    keypoints, scores = decode_heatmaps(torch.zeros(0, 17, 56, 56), torch.zeros(0, 4))
    assert keypoints.shape == (0, 17, 2)
    assert scores.shape == (0, 17)


@pytest.mark.parametrize(("smallest", "largest"), [(0.1, 3), (3, 60), (60, 200)])
@pytest.mark.parametrize("kind", ["peaked", "noise", "smooth"])
def test_decoding_equals_torchvisions(kind: str, smallest: float, largest: float) -> None:
    heatmaps = {
        "peaked": lambda: peaked(12, 56),
        "noise": lambda: torch.randn(12, 5, 56, 56) * 5,
        "smooth": lambda: F.interpolate(torch.randn(12, 5, 5, 5), size=(56, 56), mode="bicubic"),
    }[kind]()
    check_decoding(heatmaps, random_rois(12, smallest, largest))


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 6),
    sides=st.tuples(st.floats(0, 30, width=32), st.floats(0, 30, width=32)),
    shift=st.floats(-50, 50, width=32),
    seed=st.integers(0, 99),
)
def test_small_heatmaps(size: int, sides: tuple[float, float], shift: float, seed: int) -> None:
    heatmaps = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(seed))
    roi = torch.tensor([[shift, -shift, shift + sides[0], sides[1] - shift]])
    # Where a value continues beyond the border, pixels are equal and rounding decides between them.
    scores = decode_heatmaps(heatmaps, roi)[1]
    torch.testing.assert_close(scores, heatmaps_to_keypoints(heatmaps, roi)[1], rtol=1e-5, atol=1e-5)


def test_a_constant_map_gives_the_first_pixel() -> None:
    keypoints, scores = decode_heatmaps(torch.zeros(1, 1, 56, 56), torch.tensor([[10.0, 20, 40.5, 90]]))
    width = 30.5 / 31
    torch.testing.assert_close(keypoints, torch.tensor([[[10 + 0.5 * width, 20.5]]]))
    assert scores.tolist() == [[0]]


def test_encoding_and_decoding_are_inverse_up_to_a_cell() -> None:
    rois = random_rois(20, 30, 120)
    sides = rois[:, None, 2:] - rois[:, None, :2]
    keypoints = rois[:, None, :2] + torch.rand(20, 17, 2) * sides
    cells, counts = keypoint_cells(keypoints, torch.full((20, 17), 2), rois, 56)
    assert counts.all()
    heatmaps = F.one_hot(cells, 56 * 56).float().unflatten(2, (56, 56))
    decoded = decode_heatmaps(heatmaps, rois)[0]
    assert ((decoded - keypoints).abs() <= sides / 56 + 0.5).all()


def test_gradients_and_other_precisions_are_left_behind() -> None:
    heatmaps = peaked(2, 14).half().requires_grad_()
    rois = random_rois(2, 10, 40).requires_grad_()
    keypoints, scores = decode_heatmaps(heatmaps, rois)
    assert not keypoints.requires_grad
    assert not scores.requires_grad
    expected = decode_heatmaps(heatmaps.detach().float(), rois.detach())
    assert torch.equal(keypoints, expected[0])
    assert torch.equal(scores, expected[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_heatmaps_on_a_gpu() -> None:
    heatmaps, rois = peaked(3, 56), random_rois(3, 20, 80)
    keypoints, scores = decode_heatmaps(heatmaps.cuda(), rois.cuda())
    expected = decode_heatmaps(heatmaps, rois)
    torch.testing.assert_close(keypoints.cpu(), expected[0])
    assert torch.equal(scores.cpu(), expected[1])
