from dataclasses import replace

import torch
from tests.data.drawn import FLIP_ORDER, drawn, proposed

from delineate.data.preprocess import Preprocess
from delineate.data.transforms import MEAN_COLOUR, horizontal_flip, pad, resized_crop, resized_target
from delineate.values import IGNORE, Sample, Target


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


def test_a_box_becomes_that_of_what_is_left_of_its_mask_where_it_is_cut() -> None:
    sample = drawn((60, 60), (10, 10, 40, 50), (45, 10, 55, 50), (10, 10, 40, 50))
    assert sample.target.masks is not None
    for row in (0, 2):
        sample.target.masks[row, 12:, 20:] = False  # an L that stands on its head
    sample.target.masks[2, :12] = False
    target = resized_crop(sample, (0, 20, 60, 40), (60, 40)).target
    assert target.boxes.tolist() == [[0, 10, 20, 12], [25, 10, 35, 50]]
    assert resized_crop(sample, (0, 0, 60, 60), (90, 90)).target.boxes[0].tolist() == [15, 15, 60, 75]


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


def test_a_target_is_resized_as_its_picture() -> None:
    resized = resized_target(drawn((40, 60), (10, 10, 30, 30)).target, Preprocess(short_side=20))
    assert resized.image_size == (20, 30)
    assert resized.boxes.tolist() == [[5, 5, 15, 15]]


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
