from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from delineate.data.augmenting import Mixing, copy_paste, mixup, mosaic, turned
from delineate.data.transforms import MEAN_COLOUR
from delineate.ops.masks import boxes_of_masks
from delineate.values import IGNORE, InputError, Sample, Target


def drawn(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (80, 100), colour: int = 255) -> Sample:
    """Rectangles of a colour on black, with a keypoint at the centre of each, on it, and one that is not annotated."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    corners = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    target = Target(
        image_size=size,
        boxes=corners,
        labels=torch.full((len(boxes),), colour),
        masks=masks,
        keypoints=torch.stack([centres, torch.zeros_like(centres)], 1),
        visibility=torch.tensor([[2, 0]]).repeat(len(boxes), 1),
        label_map=masks.any(0).long(),
        proposals=corners,
    )
    image = (masks.any(0) * colour).to(torch.uint8).expand(3, -1, -1).contiguous()
    return Sample(image=image, target=target, file="drawn.png")


def checked(sample: Sample) -> Target:
    """Check the moved target as one that comes from a file is checked, and that its parts agree with each other."""
    target = sample.target
    again = Target(**{name: value for name, value in vars(target).items() if name != "areas"})
    assert sample.image.shape[1:] == target.image_size
    assert again.masks is not None
    assert again.keypoints is not None
    for mask, box, places, seen in zip(again.masks, again.boxes, again.keypoints, again.visibility, strict=True):
        assert (boxes_of_masks(mask[None])[0] - box).abs().max() <= 1
        assert seen[1] == 0
        if seen[0] == 2:
            x, y = places[0].long().tolist()
            assert bool(mask[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any()), "a keypoint stays on its object"
    return again


@settings(max_examples=50, deadline=None)
@given(angle=st.floats(-180, 180), shear=st.floats(-30, 30))
def test_what_is_turned_stays_aligned(angle: float, shear: float) -> None:
    before = drawn((30, 20, 62, 50), (5, 60, 15, 75))
    after = turned(before, angle, shear)
    target = checked(after)
    if len(target):
        seen = target.masks.any(0)
        assert ((after.image[0] > 200) & ~seen & (target.label_map == 1)).sum() == 0
        assert torch.equal(target.label_map == 1, seen)


def test_a_quarter_turn_is_clockwise_and_exact() -> None:
    before = drawn((10, 10, 30, 20), size=(60, 60))
    after = turned(before, 90.0)
    assert after.target.boxes.tolist() == [[40, 10, 50, 30]]
    assert torch.equal(after.image, before.image.rot90(-1, (1, 2)))
    assert after.target.keypoints[0, 0].tolist() == pytest.approx([45, 20], abs=1e-4)
    assert after.target.proposals[0].tolist() == pytest.approx([40, 10, 50, 30], abs=1e-4)


def test_borders_are_between_the_picture_and_what_comes_in() -> None:
    gray = torch.tensor(MEAN_COLOUR)[:, None, None].expand(-1, 80, 100).to(torch.uint8)
    after = turned(replace(drawn(), image=gray.contiguous()), 20.0).image
    assert torch.equal(after, gray), "what has the colour of the outside has no border"


def test_what_has_no_mask_has_the_box_around_its_turned_corners() -> None:
    before = drawn((20, 20, 40, 40), size=(60, 60))
    after = turned(replace(before, target=replace(before.target, masks=None)), 45.0)
    assert after.target.boxes[0].tolist() == pytest.approx(
        [30 - 200**0.5, 30 - 200**0.5, 30 + 200**0.5, 30 + 200**0.5], 1e-4
    )


def test_what_is_turned_out_of_the_picture_goes_and_what_comes_in_is_ignored() -> None:
    after = turned(drawn((0, 0, 4, 4)), 45.0)
    assert len(after.target) == 0
    assert after.image[:, 0, 0].tolist() == list(MEAN_COLOUR)
    assert after.target.label_map[0, 0] == IGNORE


def test_a_mosaic_has_a_quarter_of_each_at_its_place() -> None:
    samples = [drawn((40, 30, 70, 60), colour=colour) for colour in (50, 100, 150, 200)]
    torch.manual_seed(1)
    made = mosaic(samples)
    target = checked(made)
    assert made.image.shape == (3, 80, 100)
    for mask, label in zip(target.masks, target.labels.tolist(), strict=True):
        assert set(made.image[0][mask].tolist()) == {label}, "objects have the pixels of their own picture"
    assert torch.equal(target.label_map == 1, made.image[0] > 0)
    assert len(target.proposals) == len(target)


def test_mixed_pictures_have_the_objects_of_both() -> None:
    made = mixup(drawn((10, 10, 40, 40), colour=200), drawn((50, 30, 90, 70), colour=100))
    target = checked(made)
    assert target.labels.tolist() == [200, 100]
    share = made.image[0, 20, 20].item() / 200
    assert 0.1 < share < 0.9
    assert made.image[0, 50, 60].item() == pytest.approx((1 - share) * 100, abs=1.5)
    assert bool((target.label_map == IGNORE).all())


def test_a_pasted_object_covers_what_is_below() -> None:
    below, above = drawn((10, 10, 50, 50), (60, 10, 70, 20), colour=100), drawn((30, 0, 75, 80), colour=200)
    seed = next(seed for seed in range(9) if torch.manual_seed(seed).initial_seed() == seed and torch.rand(1) < 0.5)
    torch.manual_seed(seed)
    made = copy_paste(below, above)
    target = made.target
    assert target.labels.tolist() == [100, 200], "what is wholly covered goes"
    assert target.boxes.tolist() == [[10, 10, 30, 50], [30, 0, 75, 80]], "what is covered in part is what is seen of it"
    assert not (target.masks[0] & target.masks[1]).any()
    assert target.visibility[:, 0].tolist() == [1, 2], "a keypoint below is hidden"
    assert set(made.image[0][target.masks[0]].tolist()) == {100}
    assert set(made.image[0][target.masks[1]].tolist()) == {200}


def test_another_size_is_cut_or_padded() -> None:
    own = drawn((10, 10, 40, 40))
    small, large = drawn((2, 2, 20, 20), size=(30, 30)), drawn((60, 60, 120, 120), size=(140, 140))
    for made in (mixup(own, small), mixup(own, large), mosaic([own, small, large, small])):
        checked(made)
        assert made.target.image_size == (80, 100)


def test_pictures_without_objects_and_without_masks() -> None:
    empty, one = drawn(), drawn((9, 9, 30, 30))
    for made in (mosaic([empty] * 4), mixup(empty, empty), copy_paste(empty, empty), turned(empty, 30.0)):
        assert len(checked(made)) == 0
    boxes = Target(image_size=(80, 100), boxes=one.target.boxes, labels=one.target.labels)
    plain = [replace(one, target=boxes), replace(empty, target=Target(image_size=(80, 100)))]
    for made in (mosaic(plain * 2), mixup(plain[0], plain[1])):
        assert made.target.masks is None
        assert made.target.keypoints is None


def blurred(mixing: Mixing, sample: Sample) -> Tensor:
    return mixing(sample, lambda: sample).image


def test_nothing_happens_unless_it_is_asked_for() -> None:
    sample = drawn((10, 10, 40, 40))
    assert Mixing()(sample, lambda: pytest.fail("no other picture is asked for")) is sample
    image = blurred(Mixing(blur=1.0), sample)
    assert 0 < image[0, 10:40, 10].float().mean() < 255
    assert image[0, 25, 25] == 255
    for name, value in (("mosaic", 1.1), ("blur", -0.1), ("rotate", 181.0), ("shear", 50.0)):
        with pytest.raises(InputError, match=rf"^{name}: {value} is outside 0\.\."):
            Mixing(**{name: value})
