"""What is measured on the disk is what is measured in memory, and few pictures are ever in it."""

import pickle
import weakref
from typing import Any

import pytest
import torch
from tests.metrics.samples import random_picture

from delineate.metrics import CocoEvaluation, coco_figures, kept, precision_recall
from delineate.values import Detections, Target

NAMES = ("a", "b", "c")
SIZES = (5, 0, 9, 1, 7, 3, 12, 2)


def pictures() -> list[tuple[Detections, Target]]:
    torch.manual_seed(0)
    return [random_picture(count, 3, masks=True, num_keypoints=17, difficult=0.1) for count in SIZES]


def measured(some: list[tuple[Detections, Target]]) -> CocoEvaluation:
    evaluation = CocoEvaluation()
    for number, (found, target) in reversed(list(enumerate(some))):
        evaluation.add(found, target, number)
    return evaluation


def test_figures_are_the_same_on_the_disk_and_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    some = pictures()
    expected = measured(some)
    figures, confusion = expected.metrics(NAMES), expected.confusion(3)
    assert {name.split("_")[0] for name in figures} >= {"AP", "mask", "keypoint"}
    monkeypatch.setattr(kept, "IN_MEMORY", 100)
    monkeypatch.setattr(coco_figures, "AT_ONCE", 2)
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0
    read = kept._unpacked

    def counted(data: bytes) -> Any:
        nonlocal most
        picture = read(data)
        alive.add(picture)
        most = max(most, len(alive))
        return picture

    monkeypatch.setattr(kept, "_unpacked", counted)
    on_disk = measured(some)
    assert on_disk._pictures._store._file._rolled
    assert on_disk.metrics(NAMES) == figures
    assert torch.equal(on_disk.confusion(3), confusion)
    assert 2 <= most <= 5, "a chunk, and the one before it"
    halves = [measured(some[:4]), CocoEvaluation()]
    for number, (found, target) in enumerate(some[4:], start=4):
        halves[1].add(found, target, number)
    whole = CocoEvaluation()
    for half in pickle.loads(pickle.dumps(halves[::-1])):
        whole.merge(half)
    assert whole.metrics(NAMES) == figures


def test_pictures_come_back_as_they_were() -> None:
    some = pictures()
    evaluation = measured(some)
    assert len(evaluation.pictures) == len(evaluation.detections) == len(evaluation.targets) == len(SIZES)
    for (found, target), picture in zip(some, evaluation.pictures[:], strict=True):
        for one, other in ((found, picture.detections), (target, picture.target)):
            for name in ("boxes", "labels", "scores", "keypoints", "visibility", "crowd", "difficult"):
                if hasattr(one, name):
                    assert torch.equal(getattr(one, name), getattr(other, name)), name
                    assert getattr(one, name).dtype == getattr(other, name).dtype
        assert picture.detections.rles == found.rles
        assert picture.target.masks is None
    assert [len(found) for found in evaluation.detections[2:4]] == [len(found) for found, _ in some[2:4]]
    curves = precision_recall(evaluation.detections, evaluation.targets, NAMES)
    assert {name: curve.ap for name, curve in curves.items()} == {
        name: curve.ap for name, curve in precision_recall(*zip(*some, strict=True), NAMES).items()
    }


def test_bytes_that_were_read_can_be_changed() -> None:
    """As torch asks of tensors: it warns where a tensor's memory is read only."""
    evaluation = measured(pictures())
    evaluation.detections[0].boxes[0] += 1
    assert not torch.equal(evaluation.detections[0].boxes[0], evaluation.detections[0].boxes[0] + 1)
