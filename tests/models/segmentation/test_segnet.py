import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.segmentation.segnet import segnet, segnet_basic
from delineate.models.segmentation.upsamplers import MaxUnpool
from delineate.values import InputError


def unpooled(model: nn.Module, images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Every max unpooling's input and output, deepest first."""
    seen: list[tuple[Tensor, Tensor]] = []
    for module in model.modules():
        if isinstance(module, MaxUnpool):
            module.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    model(images)
    return seen


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_values_return_to_where_the_encoders_maxima_came_from(size: tuple[int, int]) -> None:
    model = segnet(num_classes=3, backbone="vgg11_bn").eval()
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        steps = unpooled(model, images)
        before, x = [], images
        for block in model.network.encoder.blocks:
            before.append(block(x))
            x = F.max_pool2d(before[-1], 2, ceil_mode=True)
    assert len(steps) == 5
    for map_before, (values, returned) in zip(reversed(before), steps, strict=True):
        assert returned.shape == map_before.shape
        height, width = map_before.shape[-2:]
        for channel in range(0, map_before.shape[1], 37):
            for row in range(values.shape[-2]):
                for column in range(values.shape[-1]):
                    cell = (slice(2 * row, min(2 * row + 2, height)), slice(2 * column, min(2 * column + 2, width)))
                    where = map_before[0, channel][cell].flatten().argmax()
                    expected = torch.zeros_like(returned[0, channel][cell]).flatten()
                    expected[where] = values[0, channel, row, column]
                    assert torch.equal(returned[0, channel][cell].flatten(), expected)


def test_the_papers_sizes() -> None:
    # Badrinarayanan et al. 2017, table 2: SegNet 29.45M, SegNet-Basic 1.425M parameters (11 classes)
    assert sum(p.numel() for p in segnet(num_classes=11).parameters()) / 1e6 == pytest.approx(29.45, abs=0.05)
    assert sum(p.numel() for p in segnet_basic(num_classes=11).parameters()) / 1e6 == pytest.approx(1.425, abs=0.02)


def test_the_last_convolution_is_the_authors() -> None:
    """`segnet_train.prototxt` ends in conv1_2_D, 64 to 64, and conv1_1_D, 3x3 from 64 to the classes."""
    last = segnet(num_classes=11).network
    (before,) = [module for module in last.decoders[-1].modules() if isinstance(module, nn.Conv2d)]
    assert (before.in_channels, before.out_channels) == (64, 64)
    assert (last.classify.in_channels, last.classify.out_channels, last.classify.kernel_size) == (64, 11, (3, 3))
    convs = [module for module in last.decoders.modules() if isinstance(module, nn.Conv2d)]
    assert len(convs) + 1 == 13  # as many as the encoder has
    assert segnet_basic(num_classes=11).network.classify.kernel_size == (1, 1)


def test_another_backbone_is_refused() -> None:
    with pytest.raises(InputError, match=r"mirrors a stack of poolings.*resnet18"):
        segnet(num_classes=2, backbone="resnet18")
