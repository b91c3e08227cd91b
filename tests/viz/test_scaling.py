from dataclasses import replace

import pytest
import torch

from delineate.ops.masks import decode_rle, encode_rle
from delineate.values import Categories, Detections, LabelMap, Target
from delineate.viz import beside_truth, fitted
from delineate.viz.scaling import rescaled

NAMES = Categories(class_names=("disc",), keypoint_names=("nose",))


def found(size: tuple[int, int]) -> Detections:
    masks = torch.zeros(1, *size, dtype=torch.bool)
    masks[0, 2:6, 4:8] = True
    return Detections(
        image_size=size,
        boxes=torch.tensor([[4.0, 2, 8, 6]]),
        labels=torch.tensor([0]),
        scores=torch.tensor([0.9]),
        rles=encode_rle(masks),
        keypoints=torch.tensor([[[6.0, 4.0]]]),
        visibility=torch.tensor([[2]]),
    )


def image(size: tuple[int, int]) -> torch.Tensor:
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8)


def test_what_was_found_is_enlarged_with_its_picture() -> None:
    small = image((8, 12))
    larger, value = rescaled(small, found((8, 12)), (24, 36))
    assert torch.equal(larger, small.repeat_interleave(3, 1).repeat_interleave(3, 2)), "pixels stay square"
    assert value.image_size == (24, 36)
    assert value.boxes.tolist() == [[12, 6, 24, 18]]
    assert value.keypoints.tolist() == [[[18, 12]]]
    expected = torch.zeros(1, 24, 36, dtype=torch.bool)
    expected[0, 6:18, 12:24] = True
    assert torch.equal(decode_rle(value.rles, (24, 36)), expected)


def test_what_is_known_is_reduced_with_its_picture() -> None:
    masks = torch.zeros(1, 8, 12, dtype=torch.bool)
    masks[0, 2:6, 4:8] = True
    target = Target(
        image_size=(8, 12),
        boxes=torch.tensor([[4.0, 2, 8, 6]]),
        labels=torch.tensor([0]),
        masks=masks,
        label_map=torch.arange(96).view(8, 12) % 5,
        crowd=torch.tensor([True]),
        proposals=torch.tensor([[0.0, 0, 12, 8]]),
    )
    smaller, value = rescaled(image((8, 12)), target, (4, 6))
    assert smaller.shape == (3, 4, 6)
    assert value.boxes.tolist() == [[2, 1, 4, 3]]
    assert value.masks.nonzero().tolist() == [[0, 1, 2], [0, 1, 3], [0, 2, 2], [0, 2, 3]]
    assert torch.equal(value.label_map, target.label_map[::2, ::2])
    assert value.crowd.tolist() == [True]
    assert value.proposals is None


@pytest.mark.parametrize("size", [(333, 1000), (1000, 333), (7, 9)])
def test_boxes_at_the_border_stay_inside(size: tuple[int, int]) -> None:
    whole = Target(image_size=size, boxes=torch.tensor([[0.0, 0, size[1], size[0]]]), labels=torch.tensor([0]))
    for new in ((17, 13), (701, 947)):
        _, value = rescaled(image(size), whole, new)
        assert value.boxes.tolist() == [[0, 0, new[1], new[0]]]


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((50, 100), {}, (50, 100)),
        ((50, 100), {"smallest": 384}, (200, 400)),
        ((50, 100), {"largest": 100}, (50, 100)),
        ((51, 101), {"largest": 100}, (26, 51)),
        ((50, 100), {"smallest": 80, "largest": 90}, (25, 50)),
    ],
)
def test_the_factor_is_whole(size: tuple[int, int], limits: dict[str, int], expected: tuple[int, int]) -> None:
    label_map = LabelMap(label_map=torch.zeros(size, dtype=torch.int64))
    picture, value = fitted(image(size), label_map, **limits)
    assert picture.shape == (3, *expected)
    assert value.image_size == expected


def test_a_row_has_picture_truth_and_prediction_in_one_size() -> None:
    truth = Target(image_size=(40, 60), boxes=torch.tensor([[4.0, 2, 40, 36]]), labels=torch.tensor([0]))
    prediction = Detections(
        image_size=(40, 60), boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), scores=torch.zeros(0)
    )
    picture, known, nothing = beside_truth(image((40, 60)), truth, prediction, NAMES)
    assert picture.shape == known.shape == (3, 280, 420)
    assert not torch.equal(picture, known)
    assert torch.equal(picture, nothing)


def test_what_the_prediction_does_not_speak_of_is_not_drawn_of_the_truth() -> None:
    masks = torch.zeros(1, 40, 60, dtype=torch.bool)
    masks[0, 10:30, 10:30] = True
    plain = {"image_size": (40, 60), "boxes": torch.tensor([[4.0, 2, 40, 36]]), "labels": torch.tensor([0])}
    full = Target(
        **plain,
        masks=masks,
        label_map=1 - masks[0].long(),
        keypoints=torch.tensor([[[50.0, 20.0]]]),
        visibility=torch.tensor([[2]]),
    )
    picture = image((40, 60))
    boxes_alone = Detections(**plain, scores=torch.tensor([0.5]))
    _, known, _ = beside_truth(picture, full, boxes_alone, NAMES)
    _, expected, _ = beside_truth(picture, Target(**plain), boxes_alone, NAMES)
    assert torch.equal(known, expected)
    everything = replace(boxes_alone, rles=encode_rle(masks), keypoints=full.keypoints, visibility=full.visibility)
    _, known, _ = beside_truth(picture, full, everything, NAMES)
    changed = (known != expected).any(0)
    assert changed[140, 140]
    assert changed[140, 350]
