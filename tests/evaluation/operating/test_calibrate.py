"""Operating points are kept beside weights, and taken by what uses these weights alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from delineate.data import Synthetic
from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor
from delineate.evaluation import evaluate
from delineate.evaluation.operating import Aim, calibrate
from delineate.evaluation.report import Measured, report_parts
from delineate.metrics import detection_confusion
from delineate.system.catalog import build
from delineate.system.operating import FILE, OperatingPoints, read_points, write_points
from delineate.system.system import System
from delineate.values import Detections, InputError

ARGUMENTS = {"backbone": "resnet10t", "width": 16, "anchor_size": 8}
PICTURES = Synthetic(4, image_size=(64, 64))
NAMES = PICTURES.categories.class_names


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that has learned nothing: its scores differ little."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run")
    model = build("faster_rcnn", PICTURES.categories, **ARGUMENTS)
    with torch.no_grad():
        model.box_head.classify.weight.mul_(20)
    System(
        name="faster_rcnn",
        model=model,
        arguments=ARGUMENTS,
        categories=PICTURES.categories,
        preprocess=Preprocess(),
    ).save(folder / "best.safetensors")
    return folder


@pytest.fixture(scope="module")
def points(run: Path) -> OperatingPoints:
    system = System.load(run / "best.safetensors", torch.device("cpu"))
    said: list[str] = []
    found = calibrate(evaluate(system, PICTURES), Aim(), "synthetic", say=said.append)
    assert any("scores mean what they mean of all classes together" in line for line in said)
    return found


@pytest.fixture
def calibrated(run: Path, points: OperatingPoints, tmp_path: Path) -> Path:
    folder = tmp_path / "calibrated"
    shutil.copytree(run, folder)
    first = points.classes[NAMES[0]]
    other = first.model_copy(update={"score": first.score.model_copy(update={"value": 0.99})})
    spread = {name: other if place % 2 else point for place, (name, point) in enumerate(points.classes.items())}
    write_points(points.model_copy(update={"classes": spread}), folder / "best.safetensors")
    return folder


def every(predictor: Predictor, index: int = 0) -> Detections:
    (found,) = predictor([PICTURES[index].image], min_score=0.0)
    assert isinstance(found, Detections)
    return found


def test_points_are_read_back_and_of_their_weights_alone(calibrated: Path) -> None:
    kept = read_points(calibrated / "best.safetensors")
    assert kept is not None
    assert System.load(calibrated / "best.safetensors").operating_points == kept
    with (calibrated / "best.safetensors").open("ab") as weights:
        weights.write(b" ")
    assert read_points(calibrated / "best.safetensors") is None


def test_what_is_no_file_of_points_is_named(calibrated: Path) -> None:
    file = calibrated / FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"aim": 3}))
    with pytest.raises(InputError, match=rf"{FILE}: no operating points: aim: .*delineate calibrate"):
        read_points(calibrated / "best.safetensors")


def test_objects_are_taken_by_the_score_of_their_class(calibrated: Path) -> None:
    predictor = Predictor.load(calibrated, device="cpu")
    found = every(predictor)
    (taken,) = predictor([PICTURES[0].image])
    assert predictor.system.least is not None
    enough = found.scores >= predictor.system.least[found.labels]
    assert 0 < int(enough.sum()) < len(found)
    assert torch.equal(taken.boxes, found.boxes[enough])
    (overridden,) = predictor([PICTURES[0].image], min_score=0.3)
    assert torch.equal(overridden.boxes, found.boxes[found.scores >= 0.3])


def test_a_score_for_each_class_is_given_from_python(run: Path, calibrated: Path) -> None:
    for folder in (run, calibrated):
        predictor = Predictor.load(folder, device="cpu")
        found = every(predictor)
        name = NAMES[int(found.labels[0])]
        middle = float(found.scores[found.labels == found.labels[0]].median())
        (taken,) = predictor([PICTURES[0].image], min_score={name: middle})
        own = predictor.system.least
        least = torch.full((len(NAMES),), 0.05) if own is None else own.clone()
        least[found.labels[0]] = middle
        assert torch.equal(taken.boxes, found.boxes[found.scores >= least[found.labels]])
    with pytest.raises(InputError, match="min_score: there is no class 'unicorn'"):
        predictor([PICTURES[0].image], min_score={"unicorn": 0.5})


def test_scores_become_shares_where_that_is_asked_for(calibrated: Path, run: Path) -> None:
    predictor = Predictor.load(calibrated, device="cpu")
    points = predictor.system.operating_points
    assert points is not None
    (taken,), (shares,) = (predictor([PICTURES[0].image], calibrate_scores=asked) for asked in (False, True))
    curve = points.reliability_of_all
    means = torch.tensor(np.interp(taken.scores.numpy(), curve.scores, curve.shares), dtype=torch.float32)
    own = torch.tensor([NAMES[label] not in points.reliability for label in taken.labels.tolist()])
    for box, share in zip(taken.boxes[own], means[own], strict=True):
        [row] = (shares.boxes == box).all(1).nonzero()[:, 0].tolist()
        assert shares.scores[row] == share
    assert len(shares) == len(taken)
    (likely,) = predictor([PICTURES[0].image], calibrate_scores=True, min_score=0.5)
    assert (likely.scores >= 0.5).all()
    with pytest.raises(InputError, match="calibrate_scores: what scores mean was not measured"):
        Predictor.load(run, device="cpu")([PICTURES[0].image], calibrate_scores=True)


def test_the_confusion_matrix_and_the_report_are_of_what_is_taken(calibrated: Path) -> None:
    system = System.load(calibrated / "best.safetensors", torch.device("cpu"))
    evaluation, without = (evaluate(some, PICTURES) for some in (system, replace(system, operating_points=None)))
    assert evaluation.objects is not None
    both = evaluation.objects.detections, evaluation.objects.targets, len(NAMES)
    assert torch.equal(evaluation.confusion, detection_confusion(*both, score=system.least))
    assert torch.equal(without.confusion, detection_confusion(*both))
    assert not torch.equal(evaluation.confusion, without.confusion)
    measured = Measured(system=system, dataset=PICTURES, evaluation=evaluation)
    assert "calibrated for f1 on synthetic" in report_parts(measured, {})["detection_note"]
    assert len(measured.prediction(0)) == len(Predictor(system)([PICTURES[0].image])[0])


def test_a_score_that_is_given_takes_the_place_of_the_points(calibrated: Path) -> None:
    system = System.load(calibrated / "best.safetensors")
    assert system.with_thresholds(nms_iou=0.7).operating_points is not None
    assert system.with_thresholds(score=0.7).operating_points is None
