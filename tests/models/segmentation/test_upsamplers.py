from typing import get_args

import pytest
import torch

from delineate.models.segmentation.options import Upsampling
from delineate.models.segmentation.upsamplers import make_upsampler
from delineate.system.catalog import build
from delineate.values import Categories, InputError

KINDS = get_args(Upsampling.__origin__)  # type: ignore[attr-defined]
TWO = Categories(class_names=("a", "b"), label_map_names=("a", "b"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["fcn32s", "fcn8s", "unet"])
def test_each_upsampler_in_fcn_and_unet(name: str, kind: str) -> None:
    model = build(name, TWO, backbone="vgg11" if name == "unet" else "plain", upsampler=kind).eval()
    assert model(torch.randn(1, 3, 45, 70)).logits.shape == (1, 2, 45, 70)


@pytest.mark.parametrize("kind", KINDS)
def test_each_upsampler_in_segnet(kind: str) -> None:
    model = build("segnet_basic", TWO, width=8, upsampler=kind).eval()
    assert model(torch.randn(1, 3, 45, 70)).logits.shape == (1, 2, 45, 70)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet", {"backbone": "resnet10t"}),
        ("fcn8s", {"backbone": "resnet10t"}),
        ("segnet", {"backbone": "plain", "downsampling": "strided_conv"}),
    ],
)
def test_max_unpool_without_indices_says_which_encoders_keep_them(name: str, options: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"max_unpool needs the indices.*plain.*vgg11"):
        build(name, TWO, upsampler="max_unpool", **options)


@pytest.mark.parametrize("kind", ["nearest", "bilinear", "bed_of_nails"])
def test_channels_may_change_before_the_map_grows(kind: Upsampling) -> None:
    up = make_upsampler(kind, in_channels=5, out_channels=3, stride=2, index_channels={})
    x = torch.randn(2, 5, 4, 6)
    torch.testing.assert_close(up(x, (8, 12)), up.channels(up.enlarge(x, 2)))


def test_a_transposed_upsampler_begins_as_bilinear_interpolation() -> None:
    up = make_upsampler(
        "transposed", in_channels=2, out_channels=2, stride=8, index_channels={}, factor=8, kernel_size=16
    )
    x = torch.randn(1, 2, 4, 4)
    expected = torch.nn.functional.interpolate(x, scale_factor=8, mode="bilinear")
    torch.testing.assert_close(up(x, (32, 32))[..., 8:-8, 8:-8], expected[..., 8:-8, 8:-8])
