import pytest
import torch
from torch.nn import functional as F

from delineate.nn.backbones import timm_backbone
from delineate.nn.pyramids import FPN, Further, Pyramid, SingleLevel
from delineate.values import InputError

BACKBONES = ["resnet10t", "convnext_atto", "efficientnet_lite0"]
SIZES = [(64, 96), (61, 75), (33, 100)]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("size", SIZES)
def test_levels_of_a_feature_pyramid(name: str, size: tuple[int, int]) -> None:
    pyramid = FPN(timm_backbone(name), 16).eval()
    assert pyramid.strides == (4, 8, 16, 32, 64)
    height, width = (-(-side // 32) * 32 for side in size)
    levels = pyramid(torch.randn(2, 3, *size))
    assert [level.shape for level in levels[:4]] == [(2, 16, height // s, width // s) for s in (4, 8, 16, 32)]
    assert torch.equal(levels[4], levels[3][..., ::2, ::2])


@pytest.mark.parametrize(
    ("name", "size"), [*((name, size) for name in BACKBONES for size in SIZES), ("vgg11", SIZES[1])]
)
def test_a_single_level_is_that_of_stride_16(name: str, size: tuple[int, int]) -> None:
    pyramid = SingleLevel(timm_backbone(name, deepest_stride=16)).eval()
    assert pyramid.strides == (16,)
    (level,) = pyramid(torch.randn(2, 3, *size))
    assert level.shape == (2, pyramid.channels, -(-size[0] // 16), -(-size[1] // 16))


@pytest.mark.parametrize(
    ("name", "fpn"), [*((name, fpn) for name in BACKBONES for fpn in (True, False)), ("vgg11", False)]
)
def test_no_parameter_is_in_vain(name: str, fpn: bool) -> None:
    pyramid: Pyramid = FPN(timm_backbone(name), 16) if fpn else SingleLevel(timm_backbone(name, deepest_stride=16))
    sum(level.square().sum() for level in pyramid(torch.randn(2, 3, 64, 64))).backward()
    assert [key for key, parameter in pyramid.named_parameters() if parameter.grad is None] == []


def test_levels_are_merged_from_coarse_to_fine() -> None:
    pyramid = FPN(timm_backbone("resnet10t"), 16).eval()
    before = pyramid(torch.ones(1, 3, 64, 64))
    with torch.no_grad():
        pyramid.laterals[-1].bias += 1  # of stride 32
    after = pyramid(torch.ones(1, 3, 64, 64))
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    with torch.no_grad():
        pyramid.laterals[0].bias += 1  # of stride 4
    last = pyramid(torch.ones(1, 3, 64, 64))
    assert [torch.equal(old, new) for old, new in zip(after, last, strict=True)] == [False, True, True, True, True]


def test_a_backbone_without_the_strides_is_refused() -> None:
    with pytest.raises(InputError, match=r"^fpn: needs maps at strides 4, 8, 16 and 32; resnet10t has \[2, 4, 8, 16\]"):
        FPN(timm_backbone("resnet10t", deepest_stride=16))


@pytest.mark.parametrize("further", ["convolve_backbone", "convolve_pyramid"])
def test_the_levels_of_retinanet(further: Further) -> None:
    backbone = timm_backbone("resnet10t").eval()
    pyramid = FPN(backbone, 16, strides=(8, 16, 32), further=further, num_further=2).eval()
    assert pyramid.strides == (8, 16, 32, 64, 128)
    images = torch.randn(2, 3, 64, 160)
    levels = pyramid(images)
    assert [level.shape for level in levels] == [(2, 16, -(-64 // s), -(-160 // s)) for s in pyramid.strides]
    coarsest = backbone(images).levels[-1] if further == "convolve_backbone" else levels[2]
    first, second = pyramid.further
    torch.testing.assert_close(levels[3], first(coarsest))
    torch.testing.assert_close(levels[4], second(F.relu(levels[3])))


def test_the_levels_of_a_dilated_backbone() -> None:
    pyramid = FPN(timm_backbone("resnet10t", output_stride=16), 16, strides=(4, 8, 16), num_further=0).eval()
    levels = pyramid(torch.randn(1, 3, 64, 96))
    assert [level.shape[-2:] for level in levels] == [(16, 24), (8, 12), (4, 6)]
