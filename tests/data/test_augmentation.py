from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.drawn import CATEGORIES, box_of, drawn, proposed

from delineate.data.augmentation import Augmentation, overlapping_crop, training_transform, zoomed_out
from delineate.data.preprocess import Preprocess
from delineate.values import IGNORE, Categories, InputError, Sample, Target


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
        cut = not visibility[row].all()  # its box is that of its mask
        for joint, corner in ((1, (x1, y1)), (2, (x2, y2))):
            place = corner if visibility[row, joint] else (0, 0)
            assert keypoints[row, joint].tolist() == pytest.approx(place, abs=1 if cut else 1e-3)
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


def test_a_picture_without_objects_or_annotations() -> None:
    sample = Sample(image=torch.zeros(3, 30, 20, dtype=torch.uint8), target=Target(image_size=(30, 20)), file="x")
    augmentation = Augmentation(scale=(0.5, 2.0), crop_size=(32, 32), flip=1.0)
    moved = training_transform(augmentation, Preprocess(), Categories(class_names=("a",)))(sample)
    assert moved.target.image_size == (32, 32)
    assert moved.target.boxes.shape == (0, 4)
    assert len(training_transform(augmentation, Preprocess(), CATEGORIES)(drawn((30, 20))).target) == 0
    assert moved.target.label_map is None


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


def test_a_smaller_picture_stands_anywhere_on_its_canvas() -> None:
    transform = training_transform(Augmentation(crop_size=(24, 40), flip=0.0), Preprocess(), CATEGORIES)
    places = set()
    for _ in range(300):
        moved = transform(drawn((20, 30), (0, 0, 30, 20)))
        left, top = (int(place) for place in moved.target.boxes[0, :2])
        assert moved.image[:, top : top + 20, left : left + 30].eq(255).all()
        assert moved.image.float().mean((1, 2)).lt(255).all()
        places.add((top, left))
    assert places == {(top, left) for top in range(5) for left in range(11)}


WHOLE = (300, 400)


def varied(way: str, times: int, preprocess: Preprocess, size: tuple[int, int] = WHOLE) -> list[Target]:
    """What becomes of a picture that is one object, in the middle of which there is another one."""
    height, width = size
    middle = (width // 2 - 20, height // 2 - 10, width // 2 + 20, height // 2 + 10)
    sample = drawn(size, (0, 0, width, height), middle)
    bare = replace(sample, target=replace(sample.target, masks=None))
    transform = training_transform(Augmentation(way=way, flip=0.0), preprocess, CATEGORIES)  # type: ignore[arg-type]
    return [transform(bare).target for _ in range(times)]


def test_half_of_detrs_pictures_are_cuts_that_are_resized_back() -> None:
    torch.manual_seed(0)
    targets = varied("detr", 400, Preprocess(short_side=150))
    whole = [target for target in targets if target.image_size == (150, 200)]
    cuts = [target for target in targets if target.image_size != (150, 200)]
    assert 150 < len(whole) < 250
    assert all(target.boxes[0].tolist() == [0, 0, 200, 150] for target in whole)
    assert min(min(target.image_size) for target in cuts) < 150  # a long cut is no longer than the picture
    shares = []
    for target in cuts:
        assert max(target.image_size) == 200 or min(target.image_size) == 150
        seen = target.boxes[target.labels == 1]
        if len(seen) and (seen[0, :2] > 0).all() and (seen[0, 2:] < torch.tensor(target.image_size).flip(0)).all():
            width, height = (seen[0, 2:] - seen[0, :2]).tolist()
            assert width / height == pytest.approx(2, rel=0.02)  # nothing is stretched
            shares.append((target.image_size[0] / height * 20 / 300, target.image_size[1] / width * 40 / 400))
    heights, widths = zip(*shares, strict=True)
    # of a shorter side of 400, 500 or 600 pixels, 384 to 600 are cut; a longer one is 533, 667 or 800
    assert 0.63 < min(heights) < 0.75
    assert max(heights) <= 1.01
    assert 0.47 < min(widths) < 0.6
    assert max(widths) <= 1.01


def test_detrs_pictures_have_the_sizes_of_the_scale() -> None:
    sample = drawn((100, 100), (0, 0, 100, 100))
    augmentation = Augmentation(way="detr", scale=(0.6, 1.0), flip=0.0)
    transform = training_transform(augmentation, Preprocess(short_side=200), CATEGORIES)
    sides = [max(transform(sample).target.image_size) for _ in range(300)]
    assert 120 <= min(sides) < 130
    assert 190 < max(sides) <= 200


def test_yolo_moves_each_side_by_up_to_a_fifth() -> None:
    torch.manual_seed(0)
    targets = varied("yolo", 400, Preprocess(size=(100, 200)), (300, 600))
    assert {target.image_size for target in targets} == {(100, 200)}
    boxes = torch.stack([target.boxes[0] for target in targets])
    assert (boxes[:, 0] > 0).float().mean().item() == pytest.approx(0.5, abs=0.1)  # the others are cut
    assert 30 < boxes[:, 0].max() <= 200 * 0.2 / 1.0 + 1
    middles = torch.stack([target.boxes[1] for target in targets])
    centres, sides = (middles[:, 2:] + middles[:, :2]) / 2, middles[:, 2:] - middles[:, :2]
    scales = sides / torch.tensor([40 / 3, 20 / 3])
    assert 1 / 1.4 - 0.02 < scales.min() < 0.8
    assert 1.3 < scales.max() < 1 / 0.6 + 0.02
    assert (scales[:, 0] - scales[:, 1]).abs().max() > 0.2  # the sides move by themselves
    shifts = (centres - torch.tensor([100.0, 50.0])) / torch.tensor([200.0, 100.0])
    assert 0.12 < shifts.abs().max() <= 0.34
    assert shifts.mean(0).abs().max() < 0.02


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("way", ["yolo", "detr"])
def test_in_every_way_boxes_and_masks_stay_on_their_objects(way: str, seed: int) -> None:
    torch.manual_seed(seed)
    augmentation = Augmentation(way=way, scale=(0.7, 1.3), colour=0.2)  # type: ignore[arg-type]
    moved = training_transform(augmentation, Preprocess(), CATEGORIES)(drawn((60, 80), (10, 10, 40, 40)))
    target = moved.target
    assert moved.image.shape[-2:] == target.image_size
    assert target.masks is not None
    assert target.label_map is not None
    white, inside = (moved.image > 140).all(0), target.masks.any(0)
    assert (white == inside)[target.label_map != IGNORE].float().mean() > 0.95
    if len(target):
        assert (box_of(target.masks[0]) - target.boxes[0]).abs().max() <= 1


@pytest.mark.parametrize("way", ["scale", "yolo", "detr", "ssd"])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (700, 3)])
def test_the_smallest_and_narrowest_pictures_go_through(way: str, size: tuple[int, int]) -> None:
    sample = Sample(image=torch.zeros(3, *size, dtype=torch.uint8), target=Target(image_size=size), file="x")
    for crop_size in (None, (32, 24)):
        augmentation = Augmentation(way=way, scale=(0.5, 2.0), crop_size=crop_size)  # type: ignore[arg-type]
        for _ in range(20):
            moved = training_transform(augmentation, Preprocess(), CATEGORIES)(sample)
            assert moved.image.shape[-2:] == moved.target.image_size
            assert crop_size in (None, moved.target.image_size)
