from dataclasses import replace

import pytest
import torch
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.ops.masks import encode_rle
from delineate.values import IGNORE, Categories, Detections, InputError, LabelMap, Sample, Target, is_left, on_cpu

SIZE = (40, 60)
BOXES = torch.tensor([[1.0, 2.0, 11.0, 12.0], [0.0, 0.0, 60.0, 40.0]])
LABELS = torch.tensor([0, 2])
NAMES = Categories(class_names=("a", "b", "c"), label_map_names=("a", "b", "c"))


def boxes(second: list[float]) -> Tensor:
    return torch.tensor([[1.0, 2.0, 11.0, 12.0], second])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"boxes": boxes([float("nan"), 0, 1, 1])}, r"boxes: row 1 .* is not finite"),
        ({"boxes": boxes([5, 5, 5, 9])}, r"boxes: row 1 .* has no area"),
        ({"boxes": boxes([9, 5, 5, 9])}, r"boxes: row 1 .* has no area"),
        ({"boxes": boxes([-1, 5, 5, 9])}, r"boxes: row 1 .* is outside the picture of height 40 and width 60"),
        ({"boxes": boxes([5, 5, 9, 41])}, r"boxes: row 1 .* is outside the picture"),
        ({"labels": torch.tensor([0, 3])}, r"labels: row 1 3 is outside 0..2"),
        ({"labels": torch.tensor([-1, 0])}, r"labels: row 0 -1 is outside 0..2"),
        ({"labels": torch.tensor([0])}, r"labels: 1 rows beside 2 boxes"),
        ({"crowd": torch.tensor([True])}, r"crowd: 1 rows beside 2 boxes"),
        ({"masks": torch.zeros(2, 40, 61, dtype=torch.bool)}, r"masks: .* is not torch.bool \(N, 40, 60\)"),
        ({"masks": torch.zeros(3, *SIZE, dtype=torch.bool)}, r"masks: 3 rows beside 2 boxes"),
        ({"keypoints": torch.zeros(2, 4, 2)}, r"one is given without the other"),
        (
            {"keypoints": torch.zeros(2, 4, 2), "visibility": torch.tensor([[0, 0, 0, 0], [0, 3, 0, 0]])},
            r"visibility: row 1 \[0, 3, 0, 0\]",
        ),
        ({"label_map": torch.zeros(40, 61, dtype=torch.int64)}, r"label_map: shape \(40, 61\)"),
        ({"label_map": torch.full(SIZE, 3)}, r"label_map: value 3 at row 0, column 0"),
    ],
)
def test_a_wrong_target_names_the_field_and_the_row(fields: dict[str, Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Target(**{"image_size": SIZE, "boxes": BOXES, "labels": LABELS, "categories": NAMES, **fields})


def test_a_right_target_is_kept_and_picked_from() -> None:
    target = Target(
        image_size=SIZE,
        boxes=BOXES,
        labels=LABELS,
        masks=torch.rand(2, *SIZE) > 0.5,
        keypoints=torch.full((2, 3, 2), float("nan")),
        visibility=torch.zeros(2, 3, dtype=torch.int64),
        crowd=torch.tensor([False, True]),
        label_map=torch.full(SIZE, IGNORE),
        categories=NAMES,
    )
    assert not target.difficult.any()
    second = target[torch.tensor([False, True])]
    assert len(second) == 1
    assert second.labels.tolist() == [2]
    assert second.crowd.tolist() == [True]
    assert torch.equal(second.masks, target.masks[1:])
    assert second.label_map is target.label_map


def test_a_picture_without_objects_is_ordinary() -> None:
    target = Target(image_size=SIZE)
    assert target.boxes.shape == (0, 4)
    assert target.labels.shape == (0,)
    assert len(target[torch.zeros(0, dtype=torch.bool)]) == 0


def test_picture_and_target_must_agree() -> None:
    with pytest.raises(
        InputError, match=r"a.png: the picture's \(height, width\) is \(40, 61\), its target's \(40, 60\)"
    ):
        Sample(image=torch.zeros(3, 40, 61, dtype=torch.uint8), target=Target(image_size=SIZE), file="a.png")


def test_detections_come_with_scores_descending() -> None:
    found = Detections(image_size=SIZE, boxes=BOXES, labels=LABELS, scores=torch.tensor([0.9, 0.3]))
    assert len(found) == 2
    with pytest.raises(InputError, match="scores: row 1 is higher"):
        replace(found, scores=torch.tensor([0.3, 0.9]))


def test_shares_of_a_label_map() -> None:
    label_map = LabelMap(label_map=torch.tensor([[0, 0], [2, 0]]))
    assert label_map.shares(4).tolist() == [0.75, 0, 0.25, 0]
    assert label_map.image_size == (2, 2)


def test_categories_refuse_what_would_shift_labels() -> None:
    with pytest.raises(InputError, match="class_names: cat appears twice"):
        Categories(class_names=("cat", "dog", "cat"))
    with pytest.raises(InputError, match="label_map_names"):
        Categories(class_names=("cat", "dog"), label_map_names=("background", "cat", "dog"))
    with pytest.raises(InputError, match="skeleton: row 1"):
        Categories(class_names=(), keypoint_names=("a", "b"), skeleton=((0, 1), (1, 2)))
    assert Categories(class_names=("cat",), label_map_names=("cat", "background")).has_background


def test_left_and_right_change_places_in_a_mirror() -> None:
    names = ("nose", "left_eye", "right_eye", "Right ankle", "Left ankle", "l_hip", "r_hip")
    assert Categories(class_names=(), keypoint_names=names).flip_order == (0, 2, 1, 4, 3, 6, 5)


@pytest.mark.parametrize(
    "pair",
    [
        ("L_eye", "R_eye"),
        ("LEye", "REye"),
        ("eye_l", "eye_r"),
        ("eye.L", "eye.R"),
        ("eyeL1", "eyeR1"),
        ("l-eye", "r-eye"),
        ("LEFT_EYE", "RIGHT_EYE"),
        ("left-eye", "right-eye"),
        ("EyeLeft", "EyeRight"),
        ("lefteye", "righteye"),
        ("upright_l", "upright_r"),
        ("L_LEG", "R_LEG"),
        ("LEG_L", "LEG_R"),
        ("REAR_L1", "REAR_R1"),
        ("FL_paw", "FR_paw"),
        ("rl", "rr"),
        ("L", "R"),
        ("左眼", "右眼"),
    ],
)
def test_sides_are_words_or_letters_that_stand_for_themselves(pair: tuple[str, str]) -> None:
    assert Categories(class_names=(), keypoint_names=("nose", *pair)).flip_order == (0, 2, 1)


@pytest.mark.parametrize(
    "names", [("fl", "fr", "rl", "rr"), ("lf_paw", "rf_paw", "lr_paw", "rr_paw"), ("LF", "RF", "LR", "RR")]
)
def test_front_and_rear_keep_their_places(names: tuple[str, ...]) -> None:
    assert Categories(class_names=(), keypoint_names=names).flip_order == (1, 0, 3, 2)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("left_eye", "right_eye"), True),
        (("REye", "LEye"), False),
        (("FR_eye", "FL_eye"), False),
        (("lf", "rf"), True),
        (("up", "down"), None),
    ],
)
def test_names_say_which_of_a_pair_is_left(pair: tuple[str, str], expected: bool | None) -> None:
    assert is_left(*pair) is expected


@pytest.mark.parametrize(
    "names", [("collar", "corrar"), ("ear_lower", "ear_rower"), ("lear", "rear"), ("left", "tail"), ("Al", "Ar")]
)
def test_a_letter_in_a_word_is_no_side(names: tuple[str, str]) -> None:
    assert Categories(class_names=(), keypoint_names=names).flip_order == (0, 1)


def test_the_background_of_label_maps_is_the_class_of_that_name_or_the_last_value() -> None:
    names = ("sky", "background", "road")
    assert Categories(class_names=names, label_map_names=names).background == 1
    assert Categories(class_names=names[:1], label_map_names=names[:2]).background == 1
    assert Categories(class_names=names[:1], label_map_names=names[:1]).background == 1


def test_a_fixed_size_does_not_keep_the_aspect() -> None:
    assert Preprocess(size=(30, 20)).resized((300, 400)) == (30, 20)


@pytest.mark.parametrize(
    ("preprocess", "expected"),
    [
        (Preprocess(), (300, 400)),
        (Preprocess(short_side=150), (150, 200)),
        (Preprocess(short_side=600, long_side=600), (450, 600)),
        (Preprocess(long_side=200), (150, 200)),
    ],
)
def test_preprocess_keeps_the_aspect(preprocess: Preprocess, expected: tuple[int, int]) -> None:
    assert preprocess.resized((300, 400)) == expected
    assert preprocess.resize(torch.zeros(3, 300, 400, dtype=torch.uint8)).shape == (3, *expected)


def test_normalising_is_per_channel() -> None:
    preprocess = Preprocess(mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
    found = preprocess.normalise(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8))
    assert found.flatten().tolist() == [1.0, 1.0, 0.0]


def found_objects() -> Detections:
    """Two objects with all that a detection may have."""
    masks = torch.zeros(2, *SIZE, dtype=torch.bool)
    masks[0, 2:12, 1:11] = True
    masks[1, :, 30:] = True
    return Detections(
        image_size=SIZE,
        boxes=BOXES,
        labels=LABELS,
        scores=torch.tensor([0.9, 0.3]),
        rles=encode_rle(masks),
        keypoints=torch.tensor([[[3.0, 4.0]], [[5.0, 6.0]]]),
        visibility=torch.tensor([[2], [1]]),
    )


@pytest.mark.parametrize(("score", "count"), [(0.95, 0), (0.9, 1), (0.31, 1), (0.3, 2), (0.0, 2)])
def test_detections_above_a_score_keep_all_their_fields(score: float, count: int) -> None:
    found = found_objects()
    kept = found.above(score)
    assert kept.image_size == SIZE
    for field in ("boxes", "labels", "scores", "rles", "keypoints", "visibility"):
        assert len(getattr(kept, field)) == count
    assert torch.equal(kept.boxes, BOXES[:count])
    assert torch.equal(kept.masks, found.masks[:count])


def test_detections_above_a_score_without_masks_and_keypoints() -> None:
    found = Detections(image_size=SIZE, boxes=BOXES, labels=LABELS, scores=torch.tensor([0.9, 0.3]))
    kept = found.above(0.5)
    assert len(kept) == 1
    assert kept.masks is None
    assert kept.keypoints is None


def test_masks_of_detections_are_kept_as_rle_of_the_pictures_size() -> None:
    found = found_objects()
    assert found.masks.sum((1, 2)).tolist() == [100, 1200]
    other = encode_rle(torch.zeros(2, 60, 40, dtype=torch.bool))
    with pytest.raises(InputError, match=r"rles: row 1 is of size \[60, 40\], the picture's is \(40, 60\)"):
        replace(found, rles=[found.rles[0], other[1]])
    with pytest.raises(InputError, match="rles: 1 rows beside 2 boxes"):
        replace(found, rles=found.rles[:1])


def test_detections_on_the_cpu_keep_what_is_no_tensor() -> None:
    found = on_cpu(found_objects())
    assert isinstance(found, Detections)
    assert found.rles == found_objects().rles
    assert torch.equal(found.keypoints, found_objects().keypoints)


def test_a_targets_proposals_are_checked_and_not_picked_from() -> None:
    target = Target(image_size=SIZE, boxes=BOXES, labels=LABELS, proposals=BOXES.repeat(3, 1))
    assert torch.equal(target[torch.tensor([True, False])].proposals, target.proposals)
    with pytest.raises(InputError, match=r"proposals: row 1 .* is outside the picture"):
        replace(target, proposals=boxes([5, 5, 9, 41]), categories=None)
