import contextlib
import io
import math
import pickle
from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tests.metrics.samples import SIZE, random_picture

from delineate.metrics import COCO_PROTOCOL, CocoEvaluation, by_content, coco_figures
from delineate.ops.masks import encode_rle
from delineate.values import Detections, InputError, Target

NAMES = ("cat", "dog", "bird", "never")
BOX_FIGURES = [
    "AP",
    "AP50",
    "AP75",
    "AP_small",
    "AP_medium",
    "AP_large",
    "AR1",
    "AR10",
    "AR100",
    "AR_small",
    "AR_medium",
    "AR_large",
]
POINT_FIGURES = ["AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large"]


def xywh(box: torch.Tensor) -> list[float]:
    x1, y1, x2, y2 = box.double().tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def flat(points: torch.Tensor, seen: torch.Tensor) -> list[float]:
    return torch.cat([points.double(), seen[:, None].double()], dim=1).flatten().tolist()


def annotation(target: Target, row: int) -> dict[str, Any]:
    assert target.crowd is not None
    box = xywh(target.boxes[row])
    fields: dict[str, Any] = {"bbox": box, "area": box[2] * box[3], "iscrowd": int(target.crowd[row])}
    if target.masks is not None:
        fields |= {"segmentation": encode_rle(target.masks[row : row + 1])[0], "area": int(target.masks[row].sum())}
    if target.keypoints is not None and target.visibility is not None:
        seen = target.visibility[row]
        fields |= {"keypoints": flat(target.keypoints[row], seen), "num_keypoints": int((seen > 0).sum())}
    return fields


def result(kind: str, detections: Detections, row: int) -> dict[str, Any]:
    if kind == "bbox":
        return {"bbox": xywh(detections.boxes[row])}
    if kind == "segm":
        assert detections.rles is not None
        return {"segmentation": detections.rles[row]}
    assert detections.keypoints is not None
    assert detections.visibility is not None
    return {"keypoints": flat(detections.keypoints[row], detections.visibility[row])}


def by_pycocotools(kind: str, pictures: list[tuple[Detections, Target]]) -> tuple[list[float], list[float]]:
    """The 12 or 10 figures, and the AP of each class."""
    annotations, results = [], []
    for image, (detections, target) in enumerate(pictures, start=1):
        for row, label in enumerate(target.labels.tolist()):
            annotations.append({"image_id": image, "category_id": label + 1, **annotation(target, row)})
        for row, (label, score) in enumerate(zip(detections.labels.tolist(), detections.scores.tolist(), strict=True)):
            results.append({"image_id": image, "category_id": label + 1, "score": score})
            results[-1] |= result(kind, detections, row)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [
                {"id": image, "height": target.image_size[0], "width": target.image_size[1]}
                for image, (_, target) in enumerate(pictures, start=1)
            ],
            "categories": [{"id": label + 1, "name": name} for label, name in enumerate(NAMES)],
            "annotations": [{"id": number, **row} for number, row in enumerate(annotations, start=1)],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][..., 0, -1]
    return list(evaluation.stats), [float(np.mean(precision[:, :, label])) for label in range(len(NAMES))]


def measured(pictures: list[tuple[Detections, Target]]) -> CocoEvaluation:
    evaluation = CocoEvaluation()
    for number, (detections, target) in enumerate(pictures):
        evaluation.add(detections, target, number)
    return evaluation


def check_equal(metrics: dict[str, float], prefix: str, figures: list[str], kind: str, pictures: Any) -> None:
    stats, classes = by_pycocotools(kind, pictures)
    ours = [metrics.get(prefix + name, -1) for name in figures]
    assert ours == pytest.approx(stats, abs=1e-6)
    assert [metrics.get(f"{prefix}AP/{name}", -1) for name in NAMES] == pytest.approx(classes, abs=1e-6)
    assert classes[3] == -1
    assert 0.03 < ours[0] < 0.9


@pytest.mark.parametrize("seed", range(3))
def test_boxes_and_masks_equal_pycocotools(seed: int) -> None:
    torch.manual_seed(seed)
    sizes = [5, 0, 9, 1, 14, 3, 0, 7]
    pictures = [random_picture(count, 3, masks=True) for count in sizes]
    pictures += [random_picture(4, 3, masks=True, num_false=400), (nothing(), pictures[0][1])]
    metrics = measured(pictures).metrics(NAMES)
    check_equal(metrics, "", BOX_FIGURES, "bbox", pictures)
    check_equal(metrics, "mask_", BOX_FIGURES, "segm", pictures)
    assert not any(name.startswith("keypoint") for name in metrics)


def test_rows_of_one_class_alone_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row takes more than a kilobyte, and 50,000 pictures have five million."""
    pictures = [random_picture(count, 3) for count in (5, 9, 14)]
    documents: list[dict[str, Any]] = []
    make = coco_figures.COCO
    monkeypatch.setattr(coco_figures, "COCO", lambda document: documents.append(document) or make(document))
    measured(pictures).metrics(NAMES)
    assert all(len({row["category_id"] for row in document["annotations"]}) <= 1 for document in documents)
    num_rows = sum(len(detections) + len(target) for detections, target in pictures)
    assert sum(len(document["annotations"]) for document in documents) == num_rows


def test_keypoints_equal_pycocotools() -> None:
    pictures = [random_picture(count, 3, num_keypoints=17) for count in (5, 0, 9, 1, 14, 3)]
    pictures.append(random_picture(6, 3, masks=True, num_keypoints=17, num_false=25))
    plain = [(replace(found, rles=None), target) for found, target in pictures]
    check_equal(measured(plain).metrics(NAMES), "keypoint_", POINT_FIGURES, "keypoints", pictures)


def test_keypoints_of_other_skeletons_have_the_mean_sigma() -> None:
    boxes, seen = torch.tensor([[0.0, 0, 20, 40]]), torch.tensor([[2, 1, 0]])
    points = torch.tensor([[[5.0, 5], [9, 30], [nan, nan]]])
    target = Target(image_size=SIZE, boxes=boxes, labels=zeros(1), keypoints=points, visibility=seen)

    def keypoint_metrics(distance: float) -> dict[str, float]:
        found = Detections(
            image_size=SIZE,
            boxes=boxes,
            labels=zeros(1),
            scores=torch.ones(1),
            keypoints=points + distance,
            visibility=seen,
        )
        return measured([(found, target)]).metrics(NAMES)

    # exp(-d^2 / (2 area (2 sigma)^2)) = 0.725, between the thresholds 0.70 and 0.75
    distance = (-math.log(0.725) * 2 * 800 * (2 * 0.067) ** 2 / 2) ** 0.5
    assert keypoint_metrics(distance)["keypoint_AP"] == pytest.approx(0.5)
    assert keypoint_metrics(0)["keypoint_AP/cat"] == pytest.approx(1)


def test_a_difficult_object_is_no_miss_and_what_finds_it_not_wrong() -> None:
    boxes = torch.tensor([[0.0, 0, 40, 40], [100, 100, 140, 140]])
    target = Target(image_size=SIZE, boxes=boxes, labels=zeros(2), difficult=torch.tensor([False, True]))
    metrics = measured([(said([[0, 0, 40, 40]]), target)]).metrics(NAMES)
    assert metrics["AP"] == pytest.approx(1)
    on_it = [[100, 100, 140, 140], [100, 100, 140, 138], [0, 0, 40, 40]]
    assert measured([(said(on_it), target)]).metrics(NAMES)["AP50"] == pytest.approx(1), "twice"
    inside = [[100, 100, 110, 110], [0, 0, 40, 40]]
    assert measured([(said(inside), target)]).metrics(NAMES)["AP50"] == pytest.approx(0.5), "by IoU, unlike a crowd"
    crowd = replace(target, difficult=None, crowd=target.difficult)
    assert measured([(said(inside), crowd)]).metrics(NAMES)["AP50"] == pytest.approx(1)


def test_what_no_object_counts_for_is_left_out() -> None:
    target = Target(image_size=SIZE, boxes=torch.tensor([[0.0, 0, 40, 40]]), labels=zeros(1))
    metrics = measured([(nothing(), target)]).metrics(NAMES)
    names = {"AP", "AP50", "AP75", "AP_medium", "AR1", "AR10", "AR100", "AR_medium", "AP/cat"}
    assert metrics == dict.fromkeys(names, 0.0)


@pytest.mark.parametrize("ignored", [None, "crowd", "difficult"])
def test_without_an_object_nothing_can_be_measured(ignored: str | None) -> None:
    target = Target(image_size=SIZE)
    if ignored:
        boxes = torch.tensor([[0.0, 0, 40, 40]])
        target = Target(image_size=SIZE, boxes=boxes, labels=zeros(1), **{ignored: torch.tensor([True])})
    for pictures in ([], [(said([[0, 0, 40, 40]]), target)]):
        with pytest.raises(InputError, match="nothing can be measured"):
            measured(pictures).metrics(NAMES)


def test_parts_measured_by_processes_are_one_whole() -> None:
    pictures = [random_picture(count, 3, masks=True, num_keypoints=5) for count in (5, 0, 9, 1, 7)]
    parts = [CocoEvaluation(), CocoEvaluation()]
    for number, (found, target) in enumerate(pictures):
        parts[number % 2].add(found, target, number)
    whole = CocoEvaluation()
    for part in pickle.loads(pickle.dumps(parts[::-1])):
        whole.merge(part)
    assert len(whole.pictures) == 5
    assert whole.metrics(NAMES) == measured(pictures).metrics(NAMES)
    assert [len(target) for target in whole.targets] == [5, 0, 9, 1, 7]


def test_a_view_of_a_large_tensor_is_pickled_without_it() -> None:
    many = torch.rand(100000, 2).repeat(1, 2) + torch.tensor([0, 0, 1, 1])
    found = Detections(image_size=SIZE, boxes=many[:1], labels=zeros(1), scores=torch.ones(1))
    assert len(pickle.dumps(measured([(found, Target(image_size=SIZE))]))) < 10000


def test_pictures_whose_objects_have_no_masks_are_left_out_of_the_masks() -> None:
    found, target = random_picture(5, 3, masks=True, crowd=0)
    other = replace(target, masks=None)
    metrics = measured([(found, target), (found, other)]).metrics(NAMES)
    alone = measured([(found, target)]).metrics(NAMES)
    assert {name: value for name, value in metrics.items() if "mask" in name} == {
        name: value for name, value in alone.items() if "mask" in name
    }
    with pytest.raises(InputError, match="rles: the detections of some pictures have them, those of others have none"):
        measured([(found, target), (replace(found, rles=None), target)]).metrics(NAMES)


def zeros(count: int) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.int64)


def said(boxes: list[list[int]]) -> Detections:
    scores = torch.linspace(0.9, 0.5, len(boxes))
    return Detections(image_size=SIZE, boxes=torch.tensor(boxes).float(), labels=zeros(len(boxes)), scores=scores)


def nothing() -> Detections:
    return Detections(image_size=SIZE, boxes=torch.zeros(0, 4), labels=zeros(0), scores=torch.zeros(0), rles=[])


def test_areas_stand_in_for_masks_that_are_not_read() -> None:
    with_masks, with_areas = CocoEvaluation(), CocoEvaluation()
    for _ in range(6):
        detections, target = random_picture(8, masks=True)
        assert target.masks is not None
        with_masks.add(replace(detections, rles=None), target)
        areas = target.masks.flatten(1).sum(1).double()
        with_areas.add(replace(detections, rles=None), replace(target, masks=None, areas=areas))
    expected = with_masks.metrics(NAMES)
    assert with_areas.metrics(NAMES) == expected
    assert expected["AP_small"] > 0


def test_a_table_by_what_is_measured() -> None:
    metrics = {"AP": 0.5, "mask_AP": 0.4, "keypoint_AR": 0.3, "AP/cat": 0.5, "mask_AP/cat": 0.4, "other": 1.0}
    assert by_content(metrics) == {"AP": {"boxes": 0.5, "masks": 0.4}, "AR": {"keypoints": 0.3}}


def crowded(num_objects: int, most: int | None = None) -> CocoEvaluation:
    """One picture of objects side by side, all found."""
    left = torch.arange(num_objects) * 4.0
    boxes = torch.stack([left, torch.zeros_like(left), left + 3, torch.full_like(left, 3)], 1)
    labels, size = torch.zeros(num_objects, dtype=torch.int64), (3, 4 * num_objects)
    scores = torch.linspace(1, 0.5, num_objects)
    evaluation = CocoEvaluation(most)
    evaluation.add(
        Detections(image_size=size, boxes=boxes, labels=labels, scores=scores),
        Target(image_size=size, boxes=boxes, labels=labels),
    )
    return evaluation


def test_where_a_picture_has_more_than_a_hundred_objects_all_detections_are_measured() -> None:
    dense, usual = crowded(250), crowded(100)
    metrics = dense.metrics(("cell",))
    assert metrics["AP"] == pytest.approx(1)
    assert metrics["AR100"] == pytest.approx(0.4)
    assert "every detection, as a picture has 250 objects of a class, where COCO takes 100" in dense.protocol
    assert usual.metrics(("cell",))["AP"] == pytest.approx(1)
    assert usual.protocol == COCO_PROTOCOL


def test_as_many_detections_count_as_are_asked_for() -> None:
    asked, few, fewer = crowded(250, 200), crowded(150, 200), crowded(150, 50)
    metrics = asked.metrics(("cell",))
    assert metrics["AR200"] == pytest.approx(0.8)
    assert metrics["AR100"] == pytest.approx(0.4)
    assert metrics["AP"] == pytest.approx(0.8, abs=0.01)
    assert (
        "at most 200 detections a class and picture, as was asked for, where COCO takes 100, of which" in asked.protocol
    )
    assert "a picture has 250 objects" in asked.protocol
    assert few.metrics(("cell",))["AR200"] == pytest.approx(1)
    assert "a picture has" not in few.protocol
    assert "AR50" not in fewer.metrics(("cell",))
    assert "AR250" not in crowded(250).metrics(("cell",))
