import pytest
import torch

from delineate.viz.palette import NUM_COLORS, oklab, palette

# How red-green blind eyes see linear RGB (Machado, Oliveira & Fernandes 2009, severity 1).
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


def seen_by(colors: torch.Tensor, matrix: list[list[float]]) -> torch.Tensor:
    linear = (colors.double() / 255) ** 2.2
    return (linear @ torch.tensor(matrix, dtype=torch.float64).T).clamp(0, 1) ** (1 / 2.2) * 255


def smallest_distance(colors: torch.Tensor) -> float:
    return float(torch.pdist(oklab(colors)).min())


def test_a_class_keeps_its_colour() -> None:
    assert torch.equal(palette(256)[:12], palette(12))
    assert palette(0).shape == (0, 3)


def test_all_colours_differ_and_none_is_gray() -> None:
    lab = oklab(palette(NUM_COLORS))
    assert smallest_distance(palette(NUM_COLORS)) > 0.02
    assert smallest_distance(palette(24)) > 0.09
    assert lab[:, 1:].norm(dim=1).min() > 0.05
    assert lab[:, 0].min() > 0.4
    assert lab[:, 0].max() < 0.91


@pytest.mark.parametrize("matrix", [DEUTERANOPIA, PROTANOPIA], ids=["deuteranopia", "protanopia"])
def test_colour_blind_eyes_tell_the_first_ten_apart(matrix: list[list[float]]) -> None:
    assert smallest_distance(seen_by(palette(10), matrix)) > 0.05


def test_past_the_last_colour_they_repeat() -> None:
    assert torch.equal(palette(NUM_COLORS + 3)[NUM_COLORS:], palette(3))


def test_oklab_of_white_and_red() -> None:
    lab = oklab(torch.tensor([[255, 255, 255], [255, 0, 0]]))
    assert torch.allclose(lab, torch.tensor([[1, 0, 0], [0.628, 0.2249, 0.1258]], dtype=torch.float64), atol=1e-3)
