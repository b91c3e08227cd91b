import pytest
import torch

from delineate.values import IGNORE, Categories, Detections, InputError, LabelMap, Target
from delineate.viz import draw_label_map, draw_target, has_ignored, palette

GRAY = 100
CATEGORIES = Categories(class_names=("disc", "bar"), label_map_names=("disc", "bar", "background"))
POSE = Categories(
    class_names=("person",), keypoint_names=("nose", "left_hand", "right_hand"), skeleton=((0, 1), (0, 2))
)


def gray_image(height: int = 96, width: int = 128) -> torch.Tensor:
    return torch.full((3, height, width), GRAY, dtype=torch.uint8)


def test_pixels_of_a_class_are_mixed_with_its_colour_and_background_stays() -> None:
    label_map = torch.full((96, 128), 2)
    label_map[10:50, 10:50] = 1
    drawn = draw_label_map(gray_image(), label_map, CATEGORIES, alpha=0.25)
    expected = (0.75 * GRAY + 0.25 * palette(2)[1].float()).round()
    assert drawn[:, 30, 30].tolist() == expected.tolist()
    assert drawn[:, 80, 80].tolist() == [GRAY] * 3
    assert drawn[:, 49, 30].tolist() == palette(2)[1].tolist(), "its border has the full colour"


def test_a_tint_has_the_hue_of_its_class_over_any_colour() -> None:
    image = torch.tensor([250, 20, 20], dtype=torch.uint8)[:, None, None].expand(3, 96, 128).contiguous()
    label_map = torch.full((96, 128), 2)
    label_map[10:50, 10:50] = 0
    drawn = draw_label_map(image, label_map, CATEGORIES)
    red, green, blue = drawn[:, 30, 30].tolist()
    assert blue > green > red, "as the legend's blue, not the violet of red under blue"
    assert drawn[:, 80, 80].tolist() == [250, 20, 20], "what is not tinted keeps its colour"


def test_what_is_hatched_is_said() -> None:
    ignored = Target(image_size=(4, 4), label_map=torch.full((4, 4), IGNORE))
    whole = Target(image_size=(4, 4), label_map=torch.zeros(4, 4, dtype=torch.int64))
    assert has_ignored(ignored, frozenset({"label_map"}))
    assert not has_ignored(whole, frozenset({"label_map"}))
    assert not has_ignored(ignored, frozenset({"boxes", "masks"}))


def test_ignored_pixels_are_hatched_in_two_grays() -> None:
    label_map = torch.full((96, 128), 2)
    label_map[:, :64] = IGNORE
    drawn = draw_label_map(gray_image(), label_map, CATEGORIES)
    tones = drawn[0, 20:70, 5:60].unique()
    assert len(tones) == 2
    assert tones[0] < GRAY < tones[1]


def test_label_map_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"label_map: .*\(96, 127\).*\(96, 128\)"):
        draw_label_map(gray_image(), torch.zeros(96, 127, dtype=torch.int64), CATEGORIES)


def test_a_predicted_label_map_is_drawn_as_such() -> None:
    label_map = torch.randint(0, 3, (96, 128))
    drawn = draw_target(gray_image(), LabelMap(label_map=label_map), CATEGORIES, alpha=0.5)
    assert torch.equal(drawn, draw_label_map(gray_image(), label_map, CATEGORIES, alpha=0.5))


def test_a_picture_without_objects_stays_as_it_is() -> None:
    assert torch.equal(draw_target(gray_image(), Target(image_size=(96, 128)), CATEGORIES), gray_image())


def test_a_small_mask_lies_on_a_large_one() -> None:
    masks = torch.zeros(2, 96, 128, dtype=torch.bool)
    masks[0, 40:60, 40:60] = True
    masks[1, 20:80, 20:80] = True
    boxes = torch.tensor([[40.0, 40, 60, 60], [20, 20, 80, 80]])
    target = Target(image_size=(96, 128), boxes=boxes, labels=torch.tensor([0, 1]), masks=masks)
    drawn = draw_target(gray_image(), target, CATEGORIES, alpha=0.5)
    colors = (0.5 * GRAY + 0.5 * palette(2).float()).round()
    assert drawn[:, 55, 50].tolist() == colors[0].tolist()
    assert drawn[:, 75, 50].tolist() == colors[1].tolist()


def test_a_crowd_is_hatched() -> None:
    masks = torch.zeros(1, 96, 128, dtype=torch.bool)
    masks[0, 30:90, 10:120] = True
    boxes, labels = torch.tensor([[10.0, 30, 120, 90]]), torch.tensor([0])
    target = Target(image_size=(96, 128), boxes=boxes, labels=labels, masks=masks, crowd=torch.tensor([True]))
    inside = draw_target(gray_image(), target, CATEGORIES)[:, 50:80, 20:110]
    assert len(inside.flatten(1).unique(dim=1).T) == 2


def test_a_box_is_outlined_within_its_pixels() -> None:
    boxes = torch.tensor([[0.0, 0, 128, 96]])
    detections = Detections(image_size=(96, 128), boxes=boxes, labels=torch.tensor([1]), scores=torch.tensor([0.9]))
    drawn = draw_target(gray_image(), detections, CATEGORIES)
    color = palette(2)[1].tolist()
    assert [drawn[:, y, x].tolist() for y, x in ((95, 5), (95, 127), (50, 0), (50, 127))] == [color] * 4
    assert drawn[:, 60, 60].tolist() == [GRAY] * 3


def test_limbs_join_annotated_keypoints_only() -> None:
    keypoints = torch.tensor([[[60.0, 20], [20, 80], [100, 80]]])
    boxes, labels = torch.tensor([[10.0, 10, 110, 90]]), torch.tensor([0])
    visibility = torch.tensor([[2, 2, 0]])
    target = Target(image_size=(96, 128), boxes=boxes, labels=labels, keypoints=keypoints, visibility=visibility)
    drawn = draw_target(gray_image(), target, POSE)
    assert drawn[:, 50, 40].tolist() != [GRAY] * 3, "nose to left hand"
    assert drawn[:, 50, 80].tolist() == [GRAY] * 3, "nose to right hand, which is not annotated"
    assert drawn[:, 80, 20].tolist() == [230, 159, 0]


def test_labels_and_keypoints_without_a_name_are_refused() -> None:
    boxes = torch.tensor([[10.0, 10, 50, 50]])
    target = Target(image_size=(96, 128), boxes=boxes, labels=torch.tensor([2]))
    with pytest.raises(InputError, match="labels: 2 has no name; class_names has 2"):
        draw_target(gray_image(), target, CATEGORIES)
    points, seen = torch.zeros(1, 4, 2), torch.zeros(1, 4, dtype=torch.int64)
    target = Target(image_size=(96, 128), boxes=boxes, labels=torch.tensor([0]), keypoints=points, visibility=seen)
    with pytest.raises(InputError, match="keypoints: 4 a row; keypoint_names has 3"):
        draw_target(gray_image(), target, POSE)


def test_the_given_picture_is_not_changed() -> None:
    image = gray_image()
    boxes = torch.tensor([[10.0, 10, 50, 50]])
    draw_target(image, Target(image_size=(96, 128), boxes=boxes, labels=torch.tensor([0])), CATEGORIES)
    assert torch.equal(image, gray_image())
