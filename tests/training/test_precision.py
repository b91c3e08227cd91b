"""Losses are computed in bfloat16 where the settings say so, but for what bfloat16 makes slower."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from delineate.training import TrainingSettings
from delineate.training.precision import autocast

CPU = torch.device("cpu")


def computed(layer: nn.Conv2d, precision: str) -> tuple[torch.dtype, Tensor, Tensor]:
    """Give what the layer makes of pictures, as its type, and the gradients of a loss that rounds nothing itself."""
    torch.manual_seed(0)
    images = torch.randn(2, 8, 16, 16, requires_grad=True)
    settings = TrainingSettings(model="unet", data=Path(), precision=precision)
    slow = nn.Conv2d(8, 8, 5, groups=8)
    with autocast(settings, CPU, nn.ModuleList([layer, slow])):
        made = layer(images)
    layer.zero_grad()
    (made * torch.randn(made.shape).bfloat16()).float().sum().backward()
    assert images.grad is not None
    assert layer.weight.grad is not None
    return made.dtype, images.grad, layer.weight.grad.clone()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 5, padding=2, groups=8),
        nn.Conv2d(8, 16, 5, padding="same", groups=8, bias=False),
        nn.Conv2d(8, 8, 3, stride=2, groups=8),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8),
    ],
)
def test_depthwise_convolutions_without_fast_gradients_are_computed_in_float32(layer: nn.Conv2d) -> None:
    dtype, *gradients = computed(layer, "bf16")
    exact, *expected = computed(layer, "fp32")

    assert (dtype, exact) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(gradients, expected)


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 5), nn.Conv2d(8, 4, 1)])
def test_all_others_are_computed_in_bfloat16(layer: nn.Conv2d) -> None:
    dtype, images, _ = computed(layer, "bf16")

    assert dtype == torch.bfloat16
    assert torch.equal(images, images.bfloat16().float())


def test_convolutions_called_by_names_are_computed_the_same_way() -> None:
    layer = nn.Conv2d(8, 8, 5, groups=8, bias=False)
    images = torch.randn(2, 8, 16, 16)
    settings = TrainingSettings(model="unet", data=Path(), precision="bf16")
    with autocast(settings, CPU, layer):
        named = nn.functional.conv2d(input=images, weight=layer.weight, groups=8)
        with torch.autocast("cpu", enabled=False):
            exact = layer(images)
    assert exact.dtype == torch.float32
    assert torch.equal(named, exact.bfloat16())
