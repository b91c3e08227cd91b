import pytest
import torch
from tests.metrics.samples import ellipses, found, objects, random_picture

from delineate.metrics import CocoEvaluation, error_breakdown
from delineate.metrics.errors import ERRORS
from delineate.ops.masks import encode_rle
from delineate.values import Detections, InputError, Target

HERE, THERE, FREE = [0.0, 0, 40, 40], [100.0, 100, 140, 140], [200.0, 0, 240, 40]
QUARTER = [100.0, 100, 140, 110]  # of THERE, an IoU of 0.25
ALL = [1.0] * 101
TO_HALF = 51 / 101  # AP at a precision of 1 up to a recall of 0.5

# Two objects of class 0, the first found with a score of 0.5; and before it, with 0.9, one error.
CASES = {
    "classification": (1, THERE),
    "localization": (0, QUARTER),
    "both": (1, QUARTER),
    "duplicate": (0, HERE),
    "background": (0, [0.0, 200, 40, 240]),
}


@pytest.mark.parametrize("error", CASES)
def test_each_error_once(error: str) -> None:
    label, box = CASES[error]
    target = objects((0, HERE), (0, THERE), (1, FREE))
    free = (0.6, 1, FREE)
    # a duplicate comes after what it repeats
    rows = [(0.9, label, box), free, (0.5, 0, HERE)]
    breakdown = error_breakdown([found(*rows)], [target], 2)
    alone = {name: int(name == error) for name in ERRORS}
    # the error explains why the second object was not found, or it is missed besides
    assert breakdown.counts == alone | {"missed": int(error not in ("classification", "localization"))}

    spoiled = (TO_HALF / 2, 1.0) if label == 0 else (TO_HALF, 0.5)  # its class has a precision of 1/2
    if error == "duplicate":
        spoiled = (TO_HALF, 1.0)  # it comes last
    before = sum(spoiled) / 2
    after = 1.0 if error in ("classification", "localization") else (TO_HALF + 1) / 2
    assert breakdown.ap50 == pytest.approx(before)
    assert breakdown.gains[error] == pytest.approx(after - before)


def test_a_missed_object_costs_its_recall() -> None:
    breakdown = error_breakdown([found((0.9, 0, HERE))], [objects((0, HERE), (0, THERE))], 1)
    assert breakdown.ap50 == pytest.approx(TO_HALF)
    assert breakdown.gains == pytest.approx(dict.fromkeys(ERRORS, 0) | {"missed": 1 - TO_HALF})
    assert breakdown.counts == dict.fromkeys(ERRORS, 0) | {"missed": 1}


def test_nothing_found_costs_everything() -> None:
    breakdown = error_breakdown([found(), found()], [objects((0, HERE), (1, THERE)), objects()], 3)
    assert breakdown.ap50 == 0
    assert breakdown.gains["missed"] == 1
    assert breakdown.counts["missed"] == 2


def test_of_two_bad_places_the_better_score_is_mended() -> None:
    said = found((0.9, 0, QUARTER), (0.8, 0, QUARTER))
    breakdown = error_breakdown([said], [objects((0, THERE))], 1)
    assert breakdown.counts == dict.fromkeys(ERRORS, 0) | {"localization": 2}
    assert breakdown.gains["localization"] == 1


def test_a_bad_place_beside_a_found_object_is_only_taken_away() -> None:
    said = found((0.9, 0, QUARTER), (0.8, 0, THERE))
    breakdown = error_breakdown([said], [objects((0, THERE))], 1)
    assert breakdown.ap50 == pytest.approx(0.5)
    assert breakdown.gains["localization"] == pytest.approx(0.5)


def test_crowds_and_difficult_objects_make_no_errors() -> None:
    target = objects((0, HERE), (0, THERE), (0, FREE), crowd=(1,), difficult=(2,))
    said = found((0.9, 0, [110, 110, 120, 120]), (0.8, 0, FREE), (0.7, 0, HERE))
    breakdown = error_breakdown([said], [target], 1)
    assert breakdown.ap50 == 1
    assert sum(breakdown.counts.values()) == 0
    with pytest.raises(InputError, match="nothing can be measured"):
        error_breakdown([said], [target[torch.tensor([1, 2])]], 1)


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_the_ap_is_cocos_and_every_wrong_detection_has_one_error(kind: str) -> None:
    pictures = [random_picture(count, 3, masks=True, difficult=0.1) for count in (5, 0, 9, 1, 14)]
    evaluation = CocoEvaluation()
    for detections, target in pictures:
        evaluation.add(detections, target)
    metrics = evaluation.metrics(["a", "b", "c"])
    breakdown = error_breakdown([found for found, _ in pictures], [target for _, target in pictures], 3, kind=kind)
    assert breakdown.ap50 == pytest.approx(metrics["AP50" if kind == "boxes" else "mask_AP50"], abs=1e-9)
    assert min(breakdown.counts[name] for name in ("classification", "localization", "duplicate", "background")) > 0


def test_masks_and_boxes_may_err_differently() -> None:
    boxes = torch.tensor([HERE])
    disc = ellipses(boxes)
    corner = disc.clone()
    corner[:, 8:, 8:] = False
    target = Target(image_size=(240, 320), boxes=boxes, labels=torch.tensor([0]), masks=disc)
    said = Detections(
        image_size=(240, 320),
        boxes=boxes,
        labels=torch.tensor([0]),
        scores=torch.tensor([0.9]),
        rles=encode_rle(corner),
    )
    assert error_breakdown([said], [target], 1).ap50 == 1
    assert error_breakdown([said], [target], 1, kind="masks").counts["localization"] == 1
