from collections import OrderedDict

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import MultiScaleRoIAlign, roi_align, roi_pool

from delineate.models.two_stage.rois import RoIAlign, RoIPool, RoIWarp, numbered, numbered_list

NO_IMAGES = torch.zeros(2, 3, 128, 160)


def smooth(height: int, width: int) -> Tensor:
    """A picture that changes slowly."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([(x / 13).sin(), (y / 17).cos(), ((x + 2 * y) / 29).sin()])


def ramp(height: int, width: int) -> Tensor:
    """A picture whose channels are the places of its pixels' centres: x, y and their sum."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y, x + y])


def test_rois_are_numbered_by_picture() -> None:
    boxes = torch.rand(2, 3, 4)
    rois = numbered(boxes)
    assert rois[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(rois[:, 1:], boxes.flatten(0, 1))
    assert torch.equal(numbered_list(list(boxes)), rois)
    few = numbered_list([boxes[0], boxes[1, :0], boxes[1, :2]])
    assert few[:, 0].tolist() == [0, 0, 0, 2, 2]
    assert torch.equal(few[:, 1:], torch.cat([boxes[0], boxes[1, :2]]))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_warp_is_a_crop_with_context_resized(scale: int) -> None:
    image = smooth(140, 150)
    x1, y1, width, height = 20, 24, 24 * scale, 48
    box = torch.tensor([[x1, y1, x1 + width, y1 + height]]).float()
    (warped,) = RoIWarp(size=32, context=4)(image[None], (), numbered(box[None]))
    # 4 of 32 pixels of context on each side: the inner 24 are the box, so the window is a third larger than it
    dx, dy = width // 6, height // 6
    crop = image[:, y1 - dy : y1 + height + dy, x1 - dx : x1 + width + dx]
    expected = F.interpolate(crop[None], size=(32, 32), mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(warped, expected, atol=0.03, rtol=0)


def test_a_warped_pixel_shows_the_place_it_stands_for() -> None:
    image = ramp(120, 140)
    boxes = torch.tensor([[30.5, 40.25, 60.0, 95.0], [50.0, 30.0, 53.0, 90.0], [20.0, 20.0, 110.0, 100.0]])
    crops = RoIWarp(size=20, context=2)(image[None], (), numbered(boxes[None]))
    assert crops.shape == (3, 3, 20, 20)
    steps = (torch.arange(20) + 0.5 - 10) / 16  # from the box's middle, in units of its sides
    for crop, (x1, y1, x2, y2) in zip(crops, boxes.tolist(), strict=True):
        torch.testing.assert_close(crop[0], ((x1 + x2) / 2 + steps * (x2 - x1)).expand(20, 20), atol=1e-2, rtol=0)
        torch.testing.assert_close(crop[1].T, ((y1 + y2) / 2 + steps * (y2 - y1)).expand(20, 20), atol=1e-2, rtol=0)
        torch.testing.assert_close(crop[2], crop[0] + crop[1], atol=1e-2, rtol=0)


def test_what_lies_outside_the_picture_is_zero_and_moves_nothing() -> None:
    image = torch.ones(3, 60, 80)
    overhanging = torch.tensor([[0.0, 0.0, 24.0, 24.0], [56.0, 36.0, 80.0, 60.0], [30.0, 20.0, 54.0, 44.0]])
    warp = RoIWarp(size=32, context=4)
    first, last, inside = warp(image[None], (), numbered(overhanging[None]))
    expected = F.pad(torch.ones(3, 28, 28), (4, 0, 4, 0))
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(last, expected.flip(1, 2))
    torch.testing.assert_close(inside, torch.ones(3, 32, 32))
    image = ramp(60, 80)
    together = warp(image[None], (), numbered(overhanging[None]))
    torch.testing.assert_close(together[2:], warp(image[None], (), numbered(overhanging[None, 2:])))


def test_a_warp_depends_on_no_other_box() -> None:
    image = smooth(200, 260)
    boxes = torch.tensor([[100.0, 90.0, 112.0, 104.0], [30.0, 20.0, 230.0, 180.0], [60.0, 50.0, 110.0, 150.0]])
    warp = RoIWarp(size=32, context=2)
    together = warp(image[None], (), numbered(boxes[None]))
    alone = torch.cat([warp(image[None], (), numbered(boxes[None, row : row + 1])) for row in range(len(boxes))])
    assert torch.equal(together, alone)


def test_each_box_is_cut_from_its_own_picture() -> None:
    images = torch.stack([torch.full((3, 50, 50), 1.0), torch.full((3, 50, 50), 2.0), torch.full((3, 50, 50), 3.0)])
    boxes = [torch.tensor([[10.0, 10.0, 30.0, 30.0]]), torch.zeros(0, 4), torch.tensor([[10.0, 10.0, 20.0, 30.0]] * 2)]
    crops = RoIWarp(size=16, context=2)(images, (), numbered_list(boxes))
    assert crops.mean((1, 2, 3)).tolist() == pytest.approx([1, 3, 3])


def some_boxes(count: int, smallest: float = 2.0) -> Tensor:
    sides = smallest + torch.rand(count, 2) ** 2 * torch.tensor([155.0, 120.0])
    corners = torch.rand(count, 2) * (torch.tensor([160.0, 128.0]) - sides).clamp(min=0)
    return torch.cat([corners, (corners + sides).minimum(torch.tensor([160.0, 128.0]))], 1)


def test_pooling_and_aligning_are_torchvisions() -> None:
    level = torch.randn(2, 5, 8, 10)
    boxes = [some_boxes(4), some_boxes(3)]
    pooled = RoIPool(size=7, strides=(16,))(NO_IMAGES, [level], numbered_list(boxes))
    assert torch.equal(pooled, roi_pool(level, boxes, 7, 1 / 16))
    aligned = RoIAlign(size=7, strides=(16,))(NO_IMAGES, [level], numbered_list(boxes))
    assert torch.equal(aligned, roi_align(level, boxes, 7, 1 / 16, sampling_ratio=2))
    assert not torch.allclose(pooled, aligned)


def test_aligning_on_a_pyramid_is_torchvisions() -> None:
    levels = [torch.randn(2, 4, 512 // stride, 640 // stride) for stride in (4, 8, 16, 32)]
    boxes = [4 * some_boxes(30), torch.cat([4 * some_boxes(20), torch.tensor([[0.0, 0.0, 640.0, 512.0]])])]
    names = [str(number) for number in range(4)]
    reference = MultiScaleRoIAlign(names, 7, 2)
    expected = reference(OrderedDict(zip(names, levels, strict=True)), boxes, [(512, 640)] * 2)
    features = RoIAlign(size=7, strides=(4, 8, 16, 32))
    assert set(features.places(torch.cat(boxes)).tolist()) == {0, 1, 2, 3}
    beyond = torch.randn(2, 4, 8, 10)  # the proposer's level alone
    aligned = features(torch.zeros(2, 3, 512, 640), [*levels, beyond], numbered_list(boxes))
    torch.testing.assert_close(aligned, expected)


def test_a_box_of_224_pixels_is_looked_up_at_stride_16() -> None:
    sides = torch.tensor([[3, 3], [111, 111], [112, 112], [223, 223], [224, 224], [112, 448], [448, 448], [2000, 900]])
    boxes = torch.cat([torch.zeros(8, 2), sides.float()], 1)
    assert RoIAlign(size=7, strides=(4, 8, 16, 32)).places(boxes).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert RoIPool(size=7, strides=(8, 16)).places(boxes).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_no_boxes_have_no_features() -> None:
    none = numbered_list([torch.zeros(0, 4)] * 2)
    assert RoIWarp(size=16, context=2)(NO_IMAGES, (), none).shape == (0, 3, 16, 16)
    levels = [torch.randn(2, 5, 32, 40), torch.randn(2, 5, 16, 20)]
    for features in (RoIPool(size=7, strides=(4, 8)), RoIAlign(size=7, strides=(4, 8)), RoIAlign(size=7, strides=(4,))):
        assert features(NO_IMAGES, levels, none).shape == (0, 5, 7, 7)


def test_boxes_of_zeros_have_finite_features_and_change_no_others() -> None:
    images = torch.randn(2, 3, 128, 160)
    levels = [torch.randn(2, 5, 32, 40), torch.randn(2, 5, 16, 20)]
    boxes = torch.stack([some_boxes(3), some_boxes(3)])
    more = torch.cat([boxes, torch.zeros(2, 2, 4)], 1)
    for features in (RoIWarp(size=16, context=2), RoIPool(size=7, strides=(4, 8)), RoIAlign(size=7, strides=(4, 8))):
        together = features(images, levels, numbered(more)).unflatten(0, (2, 5))
        assert together.isfinite().all()
        assert torch.equal(together[:, :3].flatten(0, 1), features(images, levels, numbered(boxes)))
