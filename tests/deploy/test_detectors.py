"""What a detector's run gives, in the Predictor and as a proposer."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from delineate.data import Synthetic
from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor
from delineate.evaluation.proposals import annotated, find_proposer, proposal_quality, propose
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.values import Categories, Detections, InputError, Target

CATEGORIES = Categories(class_names=("cat", "dog"), keypoint_names=("nose", "tail"))
ARGUMENTS = {"backbone": "resnet10t", "width": 16, "anchor_size": 8}


def saved(folder: Path, system: str, **more: object) -> Path:
    torch.manual_seed(0)
    arguments = {**ARGUMENTS, **more}
    System(
        name=system,
        model=build(system, CATEGORIES, **arguments),
        arguments=arguments,
        categories=CATEGORIES,
        preprocess=Preprocess(short_side=48),
    ).save(folder / "best.safetensors")
    return folder


@pytest.fixture(scope="module")
def mask_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("mask"), "mask_rcnn")


@pytest.fixture(scope="module")
def predictor(mask_run: Path) -> Predictor:
    return Predictor.load(mask_run, device="cpu")


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def found(predictor: Predictor, image: Tensor, **options: float) -> Detections:
    [detections] = predictor(image, **options)
    assert isinstance(detections, Detections)
    return detections


def test_results_do_not_depend_on_batch_mates(predictor: Predictor) -> None:
    pictures = [picture(60, 80, 1), picture(80, 60, 2), picture(60, 80, 3), picture(30, 40, 4)]
    together = [predicted.prediction for predicted in predictor.predict(pictures, batch_size=4)]
    for image, result in zip(pictures, together, strict=True):
        alone = found(predictor, image)
        assert len(alone) > 0
        assert torch.equal(result.labels, alone.labels)
        torch.testing.assert_close(result.boxes, alone.boxes, atol=1e-3, rtol=0)
        torch.testing.assert_close(result.scores, alone.scores, atol=1e-5, rtol=0)
        assert result.image_size == tuple(image.shape[1:])


def test_only_what_scores_enough_is_given(predictor: Predictor) -> None:
    image = picture(60, 80)
    everything = found(predictor, image)
    limit = float(everything.scores[len(everything) // 2])
    likely = found(predictor, image, min_score=limit)
    assert 0 < len(likely) < len(everything)
    assert float(likely.scores.min()) >= limit
    assert list(likely.rles) == list(everything.rles)[: len(likely)]


def test_thresholds_below_and_beside_the_systems_own_change_what_is_found(mask_run: Path) -> None:
    image, predictor = picture(60, 80), Predictor.load(mask_run, device="cpu")
    torch.nn.init.constant_(predictor.system.model.box_head.classify.bias[1], -3.0)  # dogs score 0.02
    own = found(predictor, image)
    assert float(own.scores.min()) > predictor.system.reader.thresholds.score == 0.05
    everything = found(predictor, image, min_score=0.01, nms_iou=1.0, max_detections=5000)
    assert 0.01 <= float(everything.scores.min()) < 0.05
    assert len(everything) > len(own)
    assert len(found(predictor, image, max_detections=3)) == 3
    assert len(found(predictor, image, max_candidates=2)) <= 2 * len(CATEGORIES.class_names)
    assert 0 < len(found(predictor, image, nms_iou=0.0)) < len(own)
    assert torch.equal(found(predictor, image).boxes, own.boxes), "a call leaves the system as it is"
    with pytest.raises(InputError, match=r"nms_iou: 1\.5 is outside 0\.\.1"):
        found(predictor, image, nms_iou=1.5)


def test_tiles_give_what_is_found_in_each_with_masks(predictor: Predictor) -> None:
    image = picture(60, 80)
    [tiled] = predictor(image, tile=(48, 48), overlap=16, min_score=0.0)
    assert isinstance(tiled, Detections)
    assert tiled.image_size == (60, 80)
    assert tiled.rles is not None
    assert len(tiled) > 0
    assert all(rle["size"] == [60, 80] for rle in tiled.rles)
    [one] = predictor(image, tile=(80, 80), overlap=16)
    assert torch.equal(one.boxes, found(predictor, image).boxes)


def test_an_rpn_proposes_in_the_pixels_of_the_picture(mask_run: Path) -> None:
    find = find_proposer("rpn", run=mask_run, max_proposals=40, device="cpu")
    for size in ((60, 80), (96, 96), (48, 300)):
        boxes = find(picture(*size))
        assert 0 < len(boxes) <= 40
        assert float(boxes[:, 2].max()) <= size[1]
        assert float(boxes[:, 3].max()) <= size[0]
        assert float(boxes[:, 2:].max()) > max(size) / 2, "boxes are scaled back"


def test_windows_are_a_fair_sample_whatever_their_number() -> None:
    find, few = find_proposer("sliding_window", max_proposals=5000), find_proposer("sliding_window", max_proposals=7)
    boxes = find(picture(60, 80))
    assert torch.equal(few(picture(60, 80, 1)), boxes[:7])
    first = boxes[: len(boxes) // 10]
    assert (first[:, 0] > 20).any()
    assert (first[:, 0] < 20).any()


def test_a_proposer_and_a_run_that_do_not_go_together_are_refused(mask_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rpn is learned; name with --run"):
        find_proposer("rpn")
    with pytest.raises(InputError, match="run: selective_search is not learned"):
        find_proposer("selective_search", run=mask_run)
    other = saved(tmp_path, "fast_rcnn", max_proposals=10)
    with pytest.raises(InputError, match="holds a fast_rcnn without RPN"):
        find_proposer("rpn", run=other, device="cpu")


def test_every_picture_is_timed_and_keeps_its_boxes() -> None:
    dataset = Synthetic(7, image_size=(64, 64))
    each = list(propose(lambda image: torch.tensor([[0.0, 0, 64, 64]]), annotated(dataset, 3)))
    assert [its.file for its in each] == [str(dataset.files[index]) for index in (0, 2, 4)]
    for its, index in zip(each, (0, 2, 4), strict=True):
        assert its.seconds >= 0
        assert its.target is not None
        assert torch.equal(its.target.boxes, dataset[index].target.boxes)
        assert its.target.masks is None


def test_quality_is_told_for_as_many_as_were_asked_for() -> None:
    target = Target(
        image_size=(100, 100), boxes=torch.tensor([[0.0, 0, 50, 50], [60, 60, 90, 90]]), labels=torch.tensor([0, 1])
    )
    far = torch.tensor([[90.0, 0, 100, 10]]).repeat(10, 1)
    boxes = torch.cat([far, target.boxes[:1], far[:4], target.boxes[1:]])
    quality = proposal_quality([boxes], [target], [0.25], max_proposals=16)
    assert (quality.num_images, quality.num_proposals, quality.seconds) == (1, 16, 0.25)
    assert quality.recall == {10: 0.0, 16: 1.0}
    assert quality.mabo[16] == quality.average_recall[16] == 1.0
    assert list(proposal_quality([boxes], [target], [1.0], max_proposals=5).recall) == [5]
    assert list(proposal_quality([boxes], [target], [1.0], max_proposals=2000).recall) == [10, 100, 300, 1000, 2000]
