"""A model's marks are suggestions, each of which somebody has to look at."""

from pathlib import Path

import torch
from tests.label.folders import Held, opened, raw
from tests.models.systems import system_of
from torchvision.ops import box_iou

from delineate.data.images import read_image
from delineate.deploy.choosing import choosing


def overlapping(boxes: torch.Tensor) -> int:
    return int((box_iou(boxes, boxes) > 0.5).triu(1).sum())


def test_of_what_overlaps_one_is_marked_whatever_its_class(tmp_path: Path) -> None:
    torch.manual_seed(0)
    system = system_of("ssd")
    labels = opened(raw(tmp_path, 1), Held(one=system), task="detect")
    (picture,) = labels.collection.pictures
    marks = labels.propose(picture, "one", min_score=0.01)["objects"]
    assert len({mark["label"] for mark in marks}) > 1
    assert overlapping(torch.tensor([mark["box"] for mark in marks])) == 0

    every, take = choosing(system, min_score=0.01)
    found = take(every.infer([read_image(picture.file)])[0])
    assert overlapping(found.boxes) > 0, "there is something to choose between"
    labels.close()
