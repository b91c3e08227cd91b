from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.data.transforms import (
    MEAN_COLOUR,
    Augmentation,
    evaluation_transform,
    horizontal_flip,
    overlapping_crop,
    pad,
    resized_crop,
    training_transform,
    zoomed_out,
)
from delineate.values import IGNORE, Categories, InputError, Sample, Target

CATEGORIES = Categories(
    class_names=("thing",),
    label_map_names=("thing", "background"),
    keypoint_names=("nose", "left_ear", "right_ear"),
)
FLIP_ORDER = CATEGORIES.flip_order


def drawn(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> Sample:
    """White rectangles on black, with keypoints at their centre, top left and bottom right."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    corners = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    keypoints = torch.stack([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, :2], corners[:, 2:]], 1)
    target = Target(
        image_size=size,
        boxes=corners,
        labels=torch.arange(len(boxes)),
        masks=masks,
        keypoints=keypoints,
        visibility=torch.full((len(boxes), 3), 2),
        crowd=torch.arange(len(boxes)) % 2 == 1,
        label_map=(~masks.any(0)).long(),
    )
    image = (masks.any(0) * 255).to(torch.uint8).expand(3, -1, -1).contiguous()
    return Sample(image=image, target=target, file="drawn.png")


def box_of(mask: Tensor) -> Tensor:
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    scale=st.floats(0.5, 2.0),
    crop_size=st.none() | st.tuples(st.integers(40, 90), st.integers(40, 90)),
    short_side=st.none() | st.integers(40, 80),
    flip=st.sampled_from([0.0, 1.0]),
)
def test_everything_stays_aligned(
    seed: int, scale: float, crop_size: tuple[int, int] | None, short_side: int | None, flip: float
) -> None:
    torch.manual_seed(seed)
    augmentation = Augmentation(scale=(scale, scale), crop_size=crop_size, flip=flip)
    transform = training_transform(augmentation, Preprocess(short_side=short_side), CATEGORIES)
    moved = transform(drawn((60, 80), (10, 15, 40, 45), (50, 5, 70, 55)))
    target = moved.target
    masks, keypoints, visibility = target.masks, target.keypoints, target.visibility
    assert masks is not None
    assert keypoints is not None
    assert visibility is not None
    assert target.label_map is not None
    assert target.crowd is not None
    if crop_size is not None:
        assert target.image_size == crop_size
    height, width = target.image_size
    for row in range(len(target)):
        x1, y1, x2, y2 = target.boxes[row].tolist()
        # A box has whole pixels in the original picture only: its mask ends within a pixel of it.
        if masks[row].any():
            assert (box_of(masks[row]) - target.boxes[row]).abs().max() <= 1
        if flip == 1:  # the left ear is the mirrored right one, and so at the left again, but low
            y1, y2 = y2, y1
        for joint, corner in ((1, (x1, y1)), (2, (x2, y2))):
            place = corner if visibility[row, joint] else (0, 0)
            assert keypoints[row, joint].tolist() == pytest.approx(place, abs=1e-3)
        assert bool(target.crowd[row]) == bool(target.labels[row] == 1)
    bright, drawn_there = moved.image[0] > 127, target.label_map == 0
    agree = (bright == drawn_there)[target.label_map != IGNORE]
    # Pixels half covered by a shape may fall either way; sampling at the corners of pixels would give twice as many.
    assert (~agree).sum() <= height + width


def test_the_scale_of_a_crop_is_the_scale_that_was_drawn() -> None:
    sample = drawn((200, 200), (90, 80, 110, 120))
    transform = training_transform(
        Augmentation(scale=(1.5, 1.5), crop_size=(150, 150), flip=0.0), Preprocess(), CATEGORIES
    )
    sides = [transform(sample).target.boxes for _ in range(20)]
    whole = [box[0] for box in sides if len(box) and (box[0, :2] > 0).all() and (box[0, 2:] < 150).all()]
    assert len(whole) > 5
    for box in whole:
        assert (box[2] - box[0]).item() == pytest.approx(30, rel=0.01)
        assert (box[3] - box[1]).item() == pytest.approx(60, rel=0.01)


def test_crops_are_anywhere_and_scales_over_the_whole_range() -> None:
    sample = drawn((60, 60), (29, 29, 31, 31))
    transform = training_transform(
        Augmentation(scale=(1.0, 1.0), crop_size=(40, 40), flip=0.0), Preprocess(), CATEGORIES
    )
    lefts = {int(transform(sample).target.boxes[0, 0]) for _ in range(300)}
    assert lefts == set(range(9, 30))
    transform = training_transform(Augmentation(scale=(0.5, 2.0), flip=0.0), Preprocess(), CATEGORIES)
    heights = [transform(sample).target.image_size[0] for _ in range(300)]
    assert 30 <= min(heights) < 33
    assert 117 < max(heights) <= 120
    assert sum(heights) / 300 == pytest.approx(75, abs=5)


def test_label_maps_are_sampled_at_the_centres_of_pixels() -> None:
    values = torch.arange(9).expand(9, 9)
    sample = Sample(
        image=torch.zeros(3, 9, 9, dtype=torch.uint8), target=Target(image_size=(9, 9), label_map=values), file="x"
    )
    smaller = resized_crop(sample, (0, 0, 9, 9), (3, 3)).target.label_map
    assert smaller is not None
    assert smaller.tolist() == [[1, 4, 7]] * 3
    larger = resized_crop(sample, (2, 3, 2, 2), (4, 4)).target.label_map
    assert larger is not None
    assert larger.tolist() == [[3, 3, 4, 4]] * 4


def test_small_pictures_are_padded_at_the_right_and_the_bottom() -> None:
    sample = drawn((20, 30), (0, 0, 30, 20))
    padded = pad(sample, (24, 40))
    assert padded.image[:, 23, 39].tolist() == list(MEAN_COLOUR)
    assert padded.image[:, :20, :30].eq(255).all()
    label_map, masks = padded.target.label_map, padded.target.masks
    assert label_map is not None
    assert masks is not None
    assert label_map[:20, :30].eq(0).all()
    assert label_map[20:].eq(IGNORE).all()
    assert label_map[:, 30:].eq(IGNORE).all()
    assert masks.sum() == 600
    assert padded.target.boxes.tolist() == [[0, 0, 30, 20]]


def test_a_flip_changes_sides() -> None:
    flipped = horizontal_flip(drawn((40, 50), (5, 10, 20, 30)), FLIP_ORDER)
    assert flipped.target.keypoints is not None
    assert flipped.target.boxes.tolist() == [[30, 10, 45, 30]]
    # The left ear was at (5, 10): mirrored it is the right ear, at (45, 10).
    assert flipped.target.keypoints.tolist() == [[[37.5, 20], [30, 30], [45, 10]]]
    assert flipped.image[0, 10:30, 30:45].eq(255).all()


def test_a_flip_is_its_own_inverse() -> None:
    sample = drawn((40, 50), (5, 10, 20, 30), (0, 0, 50, 40))
    assert sample.target.visibility is not None
    sample = replace(sample, target=replace(sample.target, visibility=torch.tensor([[2, 0, 1], [0, 1, 2]])))
    twice = horizontal_flip(horizontal_flip(sample, FLIP_ORDER), FLIP_ORDER)
    assert torch.equal(twice.image, sample.image)
    for field in ("boxes", "masks", "keypoints", "visibility", "label_map"):
        assert torch.equal(getattr(twice.target, field), getattr(sample.target, field)), field


def test_what_is_cut_away_is_dropped_with_all_its_fields() -> None:
    sample = drawn((60, 60), (0, 0, 10, 10), (30, 30, 50, 50), (20, 20, 30, 30))
    target = resized_crop(sample, (25, 30, 30, 30), (30, 30)).target
    assert target.boxes.tolist() == [[0, 5, 20, 25]]
    assert target.labels.tolist() == [1]
    assert target.crowd is not None
    assert target.crowd.tolist() == [True]
    for field in ("masks", "keypoints", "visibility"):
        assert len(getattr(target, field)) == 1


def test_slivers_of_less_than_a_pixel_are_dropped() -> None:
    sample = drawn((40, 40), (0, 0, 11, 11), (0, 0, 20, 20))
    target = resized_crop(sample, (10, 10, 30, 30), (20, 20)).target
    assert target.labels.tolist() == [1]


def test_an_object_whose_mask_is_cut_away_is_dropped_though_its_box_is_not() -> None:
    sample = drawn((40, 40), (0, 0, 30, 30), (0, 0, 30, 30))
    assert sample.target.masks is not None
    sample.target.masks[0, 15:, 15:] = False
    assert resized_crop(sample, (15, 15, 20, 20), (20, 20)).target.labels.tolist() == [1]


def test_an_object_that_never_had_a_mask_stays() -> None:
    sample = drawn((40, 40), (0, 0, 30, 30))
    assert sample.target.masks is not None
    sample.target.masks[:] = False
    assert len(resized_crop(sample, (15, 15, 20, 20), (20, 20)).target) == 1


def test_keypoints_outside_become_invisible() -> None:
    target = resized_crop(drawn((40, 40), (10, 10, 30, 30)), (0, 0, 25, 25), (50, 50)).target
    assert target.visibility is not None
    assert target.keypoints is not None
    assert target.visibility.tolist() == [[2, 2, 0]]
    assert target.keypoints.tolist() == [[[40, 40], [20, 20], [0, 0]]]
    assert target.boxes.tolist() == [[20, 20, 50, 50]]


def test_a_picture_without_objects_or_annotations() -> None:
    sample = Sample(image=torch.zeros(3, 30, 20, dtype=torch.uint8), target=Target(image_size=(30, 20)), file="x")
    augmentation = Augmentation(scale=(0.5, 2.0), crop_size=(32, 32), flip=1.0)
    moved = training_transform(augmentation, Preprocess(), Categories(class_names=("a",)))(sample)
    assert moved.target.image_size == (32, 32)
    assert moved.target.boxes.shape == (0, 4)
    assert len(training_transform(augmentation, Preprocess(), CATEGORIES)(drawn((30, 20))).target) == 0
    assert moved.target.label_map is None


def test_the_evaluation_transform_resizes_and_nothing_else() -> None:
    resized = evaluation_transform(Preprocess(short_side=20))(drawn((40, 60), (10, 10, 30, 30)))
    assert resized.image.shape == (3, 20, 30)
    assert resized.target.boxes.tolist() == [[5, 5, 15, 15]]


def test_colour_changes_the_picture_alone() -> None:
    sample = drawn((40, 40), (10, 10, 30, 30))
    grey = replace(sample, image=torch.full((3, 40, 40), 100, dtype=torch.uint8))
    moved = training_transform(Augmentation(flip=0.0, colour=0.5), Preprocess(), CATEGORIES)(grey)
    assert moved.image.dtype == torch.uint8
    assert not torch.equal(moved.image, grey.image)
    assert 25 <= moved.image.min() <= moved.image.max() <= 226
    assert torch.equal(moved.target.boxes, grey.target.boxes)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"scale": (2.0, 0.5)}, "scale"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"crop_size": (0, 5)}, "crop_size"),
        ({"flip": 1.5}, "flip"),
        ({"colour": -0.1}, "colour"),
    ],
)
def test_values_out_of_range_are_named(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(InputError, match=f"^{field}: "):
        Augmentation(**arguments)  # type: ignore[arg-type]


def proposed(size: tuple[int, int], *boxes: tuple[float, float, float, float]) -> Sample:
    """A picture whose objects were proposed, each by its very box."""
    corners = torch.tensor(boxes).view(-1, 4)
    target = Target(image_size=size, boxes=corners, labels=torch.arange(len(boxes)), proposals=corners.clone())
    return Sample(image=torch.zeros(3, *size, dtype=torch.uint8), target=target, file="proposed.png")


def test_proposals_are_moved_by_every_step() -> None:
    sample = proposed((40, 60), (10.0, 5.0, 30.0, 25.0), (0.0, 0.0, 12.5, 40.0), (50.0, 30.0, 60.0, 40.0))
    cut = resized_crop(sample, (5, 10, 20, 40), (40, 80))
    assert cut.target.proposals is not None
    assert cut.target.proposals.tolist() == [[0, 0, 40, 40], [0, 0, 5, 40]]
    flipped = horizontal_flip(cut, ())
    assert flipped.target.proposals is not None
    assert flipped.target.proposals.tolist() == [[40, 0, 80, 40], [75, 0, 80, 40]]
    padded = pad(flipped, (64, 96))
    assert padded.target.image_size == (64, 96)
    assert padded.target.proposals is not None
    assert padded.target.proposals.tolist() == [[40, 0, 80, 40], [75, 0, 80, 40]]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), crop_size=st.none() | st.tuples(st.integers(20, 90), st.integers(20, 90)))
def test_proposals_move_as_boxes_do(seed: int, crop_size: tuple[int, int] | None) -> None:
    torch.manual_seed(seed)
    augmentation = Augmentation(scale=(0.5, 2.0), crop_size=crop_size, flip=0.5)
    transform = training_transform(augmentation, Preprocess(), Categories(class_names=tuple("abc")))
    sample = proposed((60, 80), (10.0, 15.0, 40.5, 45.0), (50.0, 5.0, 70.0, 55.0), (0.0, 0.0, 3.0, 60.0))
    moved = transform(sample).target
    assert moved.proposals is not None
    assert torch.equal(moved.proposals, moved.boxes)
    Target(image_size=moved.image_size, proposals=moved.proposals)  # which are checked here


def test_objects_come_and_go_without_their_proposals() -> None:
    sample = proposed((40, 60), (10.0, 5.0, 30.0, 25.0), (0.0, 0.0, 12.5, 40.0))
    one = replace(sample, target=sample.target[torch.tensor([True, False])])
    cut = resized_crop(one, (0, 0, 40, 8), (40, 8)).target
    assert len(cut) == 0
    assert cut.proposals is not None
    assert cut.proposals.tolist() == [[0, 0, 8, 40]]


def test_a_picture_anywhere_on_a_canvas_takes_everything_along() -> None:
    sample = drawn((20, 30), (5, 10, 15, 20))
    padded = pad(sample, (50, 60), (7, 9)).target
    assert padded.boxes.tolist() == [[14, 17, 24, 27]]
    assert padded.keypoints is not None
    assert sample.target.keypoints is not None
    assert torch.equal(padded.keypoints, sample.target.keypoints + torch.tensor([9, 7]))
    assert padded.masks is not None
    assert padded.masks[0, 17:27, 14:24].all()
    assert padded.masks.sum() == 100


@pytest.mark.parametrize("seed", range(20))
def test_zoomed_out_and_cropped_as_in_ssd_boxes_stay_on_their_objects(seed: int) -> None:
    torch.manual_seed(seed)
    sample = drawn((60, 80), (10, 10, 40, 40), (50, 5, 75, 55))
    canvas = zoomed_out(sample)
    assert len(canvas.target) == 2
    ratios = [ours / theirs for ours, theirs in zip(canvas.target.image_size, (60, 80), strict=True)]
    assert 1 <= min(ratios) <= max(ratios) <= 4.05
    moved = overlapping_crop(canvas, (300, 300))
    assert moved.target.image_size == moved.image.shape[-2:] == (300, 300)
    assert 1 <= len(moved.target) <= 2
    white = (moved.image > 200).all(0)
    for x1, y1, x2, y2 in moved.target.boxes.round().int().tolist():
        inner = white[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3]
        assert inner.numel() == 0 or inner.float().mean() > 0.9


def test_a_picture_without_objects_is_cropped_whole() -> None:
    moved = overlapping_crop(drawn((60, 80)), (30, 30))
    assert moved.image.shape == (3, 30, 30)
    assert len(moved.target) == 0
