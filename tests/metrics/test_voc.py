import pytest
import torch
from tests.metrics.samples import found, objects, random_picture

from delineate.metrics import voc_metrics
from delineate.values import Detections, InputError, Target

NAMES = ("cat", "dog", "bird", "never")
HERE, THERE, AWAY = [0.0, 0, 40, 40], [60.0, 60, 100, 100], [200.0, 100, 240, 140]


def iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def by_the_devkit(pictures: list[tuple[Detections, Target]], label: int) -> tuple[float, float] | None:
    """`VOCevaldet.m`, line by line: AP of 2007 and of 2010."""
    said = []
    num_positive = 0
    for image, (detections, target) in enumerate(pictures):
        assert target.difficult is not None
        num_positive += int(((target.labels == label) & ~target.difficult).sum())
        rows = zip(detections.scores.tolist(), detections.labels.tolist(), detections.boxes.tolist(), strict=True)
        said += [(score, image, box) for score, other, box in rows if other == label]
    if not num_positive:
        return None
    taken, right, wrong = set(), [0], [0]
    for _, image, box in sorted(said, key=lambda row: -row[0]):
        target = pictures[image][1]
        assert target.difficult is not None
        best, best_row = -1.0, -1
        for row, truth in enumerate(target.boxes.tolist()):
            if target.labels[row] == label and iou(box, truth) > best:
                best, best_row = iou(box, truth), row
        is_right = best >= 0.5 and not target.difficult[best_row] and (image, best_row) not in taken
        is_neutral = best >= 0.5 and bool(target.difficult[best_row])
        if is_right:
            taken.add((image, best_row))
        right.append(right[-1] + is_right)
        wrong.append(wrong[-1] + (not is_right and not is_neutral))
    curve = [(tp / num_positive, tp / (tp + fp)) for tp, fp in zip(right, wrong, strict=True) if tp + fp]
    eleven = sum(max((p for r, p in curve if r >= step / 10), default=0) for step in range(11)) / 11
    recalls = [0, *(recall for recall, _ in curve)]
    area = sum(
        (recalls[index + 1] - recalls[index]) * max(precision for _, precision in curve[index:])
        for index in range(len(curve))
    )
    return eleven, area


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_devkit(seed: int) -> None:
    torch.manual_seed(seed)
    pictures = [random_picture(count, 3, crowd=0, difficult=0.3) for count in (5, 0, 9, 1, 14, 7)]
    metrics = voc_metrics([found for found, _ in pictures], [target for _, target in pictures], NAMES)
    classes = {name: ap for label, name in enumerate(NAMES) if (ap := by_the_devkit(pictures, label))}
    for year, aps in zip(("2007", "2010"), zip(*classes.values(), strict=True), strict=True):
        expected = {f"voc{year}_AP/{name}": ap for name, ap in zip(classes, aps, strict=True)}
        expected[f"voc{year}_mAP"] = sum(aps) / len(aps)
        assert {name: value for name, value in metrics.items() if year in name} == pytest.approx(expected)
    assert 0.1 < metrics["voc2010_mAP"] < 0.9


def test_worked_example() -> None:
    """Right, wrong, right of three objects: precision 1 up to a recall of 1/3, and 2/3 up to 2/3."""
    target = objects((0, HERE), (0, THERE), (0, AWAY))
    said = found((0.9, 0, HERE), (0.8, 0, [0, 100, 40, 140]), (0.7, 0, THERE))
    metrics = voc_metrics([said], [target], ["cat"])
    assert metrics["voc2007_mAP"] == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    assert metrics["voc2010_AP/cat"] == pytest.approx(1 / 3 + 1 / 3 * 2 / 3)


def test_recalls_in_tenths_are_reached() -> None:
    target = objects(*[(0, [20.0 * place, 0, 20.0 * place + 10, 10]) for place in range(10)])
    said = found(*[(0.9, 0, box) for box in target.boxes[:3].tolist()])
    assert voc_metrics([said], [target], ["cat"])["voc2007_mAP"] == pytest.approx(4 / 11)


def test_a_second_detection_is_wrong_even_beside_a_free_object() -> None:
    near = [4.0, 0, 44, 40]
    target = objects((0, HERE), (0, near))
    metrics = voc_metrics([found((0.9, 0, HERE), (0.8, 0, HERE))], [target], ["cat"])
    assert metrics["voc2010_mAP"] == pytest.approx(0.5)


def test_difficult_objects_and_crowds_are_left_out() -> None:
    target = objects((0, HERE), (0, THERE), (0, AWAY), difficult=(1,), crowd=(2,))
    inside = [210.0, 110, 220, 120]
    said = found((0.9, 0, THERE), (0.8, 0, THERE), (0.7, 0, inside), (0.6, 0, HERE))
    assert voc_metrics([said], [target], ["cat"])["voc2010_mAP"] == 1


def test_no_detection_is_zero_and_no_object_an_error() -> None:
    assert voc_metrics([found()], [objects((1, HERE))], NAMES) == {
        "voc2007_mAP": 0,
        "voc2007_AP/dog": 0,
        "voc2010_mAP": 0,
        "voc2010_AP/dog": 0,
    }
    with pytest.raises(InputError, match="nothing can be measured"):
        voc_metrics([found((0.9, 0, HERE))], [objects((0, HERE), difficult=(0,))], NAMES)
    with pytest.raises(InputError, match="nothing can be measured"):
        voc_metrics([], [], NAMES)


def test_masks_are_measured_where_they_are() -> None:
    detections, target = random_picture(8, 3, masks=True, crowd=0)
    assert 0 < voc_metrics([detections], [target], NAMES, kind="masks")["voc2010_mAP"] < 1
    with pytest.raises(InputError, match="masks: the objects of a picture have none; measure boxes"):
        voc_metrics([detections], [objects((0, HERE))], NAMES, kind="masks")
