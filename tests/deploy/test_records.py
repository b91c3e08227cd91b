import json
from pathlib import Path

import torch

from delineate.deploy import prediction_record
from delineate.ops.masks import decode_rle, encode_rle
from delineate.values import Categories, Detections, LabelMap


def test_label_map() -> None:
    label_map = torch.tensor([[0, 1, 2, 2], [0, 0, 2, 2]])
    categories = Categories(class_names=("cat", "dog"), label_map_names=("cat", "dog", "background"))
    record = prediction_record(
        LabelMap(label_map=label_map), categories, file="a.jpg", label_map_file=Path("out/a.png")
    )
    assert json.loads(json.dumps(record)) == {
        "file": "a.jpg",
        "height": 2,
        "width": 4,
        "label_map": "out/a.png",
        "shares": {"cat": 0.375, "dog": 0.125, "background": 0.5},
    }


def test_objects() -> None:
    masks = torch.zeros(2, 4, 6, dtype=torch.bool)
    masks[0, 1:3, 2:5] = True
    detections = Detections(
        image_size=(4, 6),
        boxes=torch.tensor([[2.0, 1, 5, 3], [0, 0, 1, 1]]),
        labels=torch.tensor([1, 0]),
        scores=torch.tensor([0.75, 0.5]),
        rles=encode_rle(masks),
        keypoints=torch.tensor([[[2.5, 1.5]], [[0.0, 0.0]]]),
        visibility=torch.tensor([[2], [0]]),
    )
    categories = Categories(class_names=("cat", "dog"), keypoint_names=("nose",))
    record = json.loads(json.dumps(prediction_record(detections, categories, file="a.jpg")))
    assert torch.equal(decode_rle(record.pop("masks"), (4, 6)), masks)
    assert record == {
        "file": "a.jpg",
        "height": 4,
        "width": 6,
        "boxes": [[2, 1, 5, 3], [0, 0, 1, 1]],
        "labels": ["dog", "cat"],
        "scores": [0.75, 0.5],
        "keypoints": [[[2.5, 1.5]], [[0, 0]]],
        "visibility": [[2], [0]],
    }


def test_a_picture_without_objects_has_empty_lists() -> None:
    nothing = Detections(
        image_size=(4, 6), boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), scores=torch.zeros(0)
    )
    record = prediction_record(nothing, Categories(class_names=("cat",)), file="a.jpg")
    assert record == {"file": "a.jpg", "height": 4, "width": 6, "boxes": [], "labels": [], "scores": []}
