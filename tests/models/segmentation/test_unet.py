import pytest
import torch

from delineate.models.segmentation.encoders import PlainEncoder
from delineate.models.segmentation.unet import unet
from delineate.nn.backbones import Tap
from delineate.values import InputError


def test_the_plain_form_has_the_papers_widths() -> None:
    network = unet(num_classes=2, backbone="plain").network
    assert network.encoder.channels == (64, 128, 256, 512, 1024)
    assert network.encoder.strides == (1, 2, 4, 8, 16)
    # figure 1: each step up halves the channels and joins as many from the contracting path
    joined = [step.convs[0][0].in_channels for step in network.steps]
    assert joined == [1024, 512, 256, 128]
    assert [step.convs[0][0].out_channels for step in network.steps] == [512, 256, 128, 64]


@pytest.mark.parametrize("backbone", ["resnet10t", "convnext_atto", "vgg11", "mobilenetv3_small_050"])
@pytest.mark.parametrize("size", [(64, 64), (37, 75)])
def test_any_size_with_any_backbone(backbone: str, size: tuple[int, int]) -> None:
    model = unet(num_classes=2, backbone=backbone).eval()
    assert model(torch.randn(1, 3, *size)).logits.shape == (1, 2, *size)


def test_pixels_stay_in_place() -> None:
    # what the network says of a pixel must follow the pixel: shift the picture by the coarsest stride, and it shifts
    model = unet(num_classes=2, backbone="plain").eval()
    picture = torch.randn(1, 3, 144, 192)
    whole, shifted = model(picture).logits, model(picture[..., 16:]).logits
    torch.testing.assert_close(whole[..., 64:-96, 96:-80], shifted[..., 64:-96, 80:-80], rtol=1e-3, atol=1e-3)


def test_strided_convolutions_take_the_place_of_poolings() -> None:
    model = unet(num_classes=2, backbone="plain", downsampling="strided_conv").eval()
    assert model.network.encoder.index_channels == {}
    assert model(torch.randn(1, 3, 35, 50)).logits.shape == (1, 2, 35, 50)
    with pytest.raises(InputError, match="a choice of the plain encoder"):
        unet(num_classes=2, backbone="resnet10t", downsampling="strided_conv")


@pytest.mark.parametrize("tap", ["conv", "pool"])
def test_a_frozen_stage_takes_its_strided_convolution_along(tap: Tap) -> None:
    encoder = PlainEncoder(widths=(4, 8, 8), depths=(1, 1, 1), downsampling="strided_conv", tap=tap)
    encoder.freeze_until(1)
    trained = {name.split(".")[0] + name.split(".")[1] for name, p in encoder.named_parameters() if p.requires_grad}
    assert trained == ({"blocks2", "downs1"} if tap == "conv" else {"blocks2", "downs2"})
