from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models.systems import CATEGORIES, Disks, pictures
from torch import Tensor
from torchvision.ops import box_iou

from delineate.data.preprocess import Preprocess
from delineate.models.contract import Inputs, Rows
from delineate.models.two_stage import TwoStageDetector
from delineate.models.two_stage.detector import Sampled, Sampling, TwoStageRaw, TwoStageReader
from delineate.models.two_stage.heads.box import WEIGHTS
from delineate.models.two_stage.presets import two_stage
from delineate.models.two_stage.proposers import RPN, SelectiveSearch
from delineate.ops.boxes import encode_boxes
from delineate.system.system import System, padded
from delineate.values import Detections, Target, Thresholds, Truth, truths_of

SIZE = (64, 80)
OBJECTS = torch.tensor([[10.0, 10.0, 30.0, 30.0], [40.0, 20.0, 60.0, 50.0]])
FOLLOWED_BY_ZEROS = (0, 0, 0, 3)


def detector(**options: Any) -> TwoStageDetector:
    stages = {"proposer": "rpn", "roi": "align", "fpn": True, "masks": True, "num_keypoints": 3}
    tiny = {"backbone": "resnet10t", "width": 16, "anchor_size": 16, "sampling": Sampling(num_rois=16)}
    return two_stage(**{"num_classes": 2, **stages, **tiny, **options})


def searching(**options: Any) -> TwoStageDetector:
    """A detector that takes proposals as an input."""
    return detector(**{"proposer": "selective_search", "roi": "pool", "fpn": False, **options}).eval()


def system(model: TwoStageDetector, preprocess: Preprocess | None = None) -> System:
    return System(name="", model=model, preprocess=preprocess or Preprocess(), categories=CATEGORIES)


def staying(model: TwoStageDetector) -> System:
    """A system that leaves boxes where they are, and finds all of them."""
    model.box_head.regress.weight.data.zero_()
    return system(model).with_thresholds(score=0.0)


def truth(**flags: list[bool]) -> Truth:
    fields = {name: torch.tensor(values) for name, values in flags.items()}
    return Truth.of(Target(image_size=SIZE, boxes=OBJECTS, labels=torch.tensor([1, 0]), **fields))


NOTHING = Truth.of(Target(image_size=SIZE))


def around(boxes: Tensor, count: int, share: float = 0.1) -> Tensor:
    """`count` boxes around each box, moved by up to a share of its sides."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moved = boxes[:, None] + sides[:, None] * torch.empty(len(boxes), count, 4).uniform_(-share, share)
    return moved.flatten(0, 1)


def sampled(model: TwoStageDetector, proposals: Tensor, truth: Truth) -> Sampled:
    """The RoIs of one picture that are learned from."""
    (rois,) = model.sample([proposals], [truth])
    return rois


ELSEWHERE = torch.tensor([[0.0, 40.0, 20.0, 60.0]])
ROIS = torch.tensor([[10.0, 10.0, 30.0, 30.0], [40.0, 20.0, 70.0, 50.0], [0.0, 0.0, 10.0, 10.0]])


def selected(scores: Tensor, rois: Tensor = ROIS, deltas: Tensor | None = None, **thresholds: float) -> Rows:
    """What a reader finds in one picture of `(60, 80)`; the rows have no axis of pictures."""
    deltas = torch.zeros(*scores.shape, 4) if deltas is None else deltas
    reader = TwoStageReader(
        thresholds=Thresholds(**{"score": 0.1, "nms_iou": 0.5, "max_detections": 100, **thresholds})
    )
    boxes, scores, labels, *_ = reader.find(TwoStageRaw(rois[None], scores[None], deltas[None], ()), (60, 80))
    assert scores.shape == (1, reader.thresholds.max_detections)
    real = scores[0] >= 0
    assert (scores[0, ~real] == -1).all()
    return Rows(boxes[0, real], scores[0, real], labels[0, real])


def test_only_what_scores_is_found_best_first() -> None:
    rows = selected(torch.tensor([[0.3, 0.05], [0.1, 0.9], [0.2, 0.5]]))
    assert rows.scores.tolist() == pytest.approx([0.9, 0.5, 0.3, 0.2])
    assert rows.labels.tolist() == [1, 1, 0, 0]
    assert rows.boxes.tolist() == [ROIS[row].tolist() for row in (1, 2, 0, 2)]
    assert len(selected(torch.full((3, 2), 0.05)).boxes) == 0
    assert selected(torch.tensor([[0.3, 0.05], [0.1, 0.9], [0.2, 0.5]]), max_detections=2).labels.tolist() == [1, 1]


def test_boxes_of_one_class_are_thinned_out_and_those_of_another_are_not() -> None:
    rois = torch.tensor([[10.0, 10.0, 30.0, 30.0], [11.0, 10.0, 31.0, 30.0], [10.0, 10.0, 30.0, 18.0]])
    rows = selected(torch.tensor([[0.8, 0.3], [0.9, 0.2], [0.4, 0.15]]), rois)
    # of each class the first two are one object, the third with an IoU of 0.4 is another
    assert list(zip(rows.labels.tolist(), rows.boxes[:, 0].tolist(), strict=True)) == [
        (0, 11),
        (0, 10),
        (1, 10),
        (1, 10),
    ]
    assert rows.scores.tolist() == pytest.approx([0.9, 0.4, 0.3, 0.15])


def test_each_class_has_its_box_which_is_cut_at_the_borders() -> None:
    right, below = torch.tensor([[60.0, 10.0, 90.0, 40.0]]), torch.tensor([[100.0, 10.0, 120.0, 30.0]])
    deltas = torch.stack([encode_boxes(right, ROIS[:1], WEIGHTS), encode_boxes(below, ROIS[:1], WEIGHTS)], 1)
    rows = selected(torch.tensor([[0.6, 0.7]]), ROIS[:1], deltas)
    assert rows.labels.tolist() == [0]  # the other lies outside
    torch.testing.assert_close(rows.boxes, torch.tensor([[60.0, 10.0, 80.0, 40.0]]))


def test_sampled_rois_answer_for_their_objects() -> None:
    model = detector(sampling=Sampling(num_rois=20, positive_share=0.4))
    proposals = torch.cat([around(OBJECTS, 15), ELSEWHERE.repeat(40, 1)])
    rois = sampled(model, proposals, truth())
    assert len(rois.boxes) == 20
    assert (rois.labels != 2).sum() == 8
    best, rows = box_iou(OBJECTS, rois.boxes).max(0)
    positive = rois.labels != 2
    assert torch.equal(positive, best >= 0.5)
    assert torch.equal(rois.rows[positive], rows[positive])
    assert torch.equal(rois.labels[positive], torch.tensor([1, 0])[rows[positive]])


def test_the_objects_themselves_are_among_the_candidates() -> None:
    rois = sampled(detector(), torch.zeros(0, 4), truth())
    assert torch.equal(rois.boxes, OBJECTS)
    assert rois.labels.tolist() == [1, 0]
    without = sampled(detector(), ELSEWHERE, NOTHING)
    assert torch.equal(without.boxes, ELSEWHERE)
    assert without.labels.tolist() == [2]


@pytest.mark.parametrize("flag", ["crowd", "difficult"])
def test_what_is_not_counted_is_neither_learned_nor_background(flag: str) -> None:
    model = detector(sampling=Sampling(num_rois=100, positive_share=0.5))
    proposals = torch.cat([around(OBJECTS, 15), around(torch.tensor([[14.0, 14.0, 22.0, 22.0]]), 15), ELSEWHERE])
    rois = sampled(model, proposals, truth(**{flag: [True, False]}))
    assert set(rois.labels.tolist()) == {0, 2}  # the object that is left, and background
    inside = (rois.boxes[:, 0] < 32) & (rois.boxes[:, 1] < 32)
    assert not inside.any()
    assert (rois.labels == 2).sum() == 1


def test_only_background_near_objects_where_the_system_asks_for_it() -> None:
    model = detector(sampling=Sampling(num_rois=50, background_iou=(0.1, 0.5)))
    near = torch.tensor([[10.0, 10.0, 18.0, 30.0]])  # an IoU of 0.4
    rois = sampled(model, torch.cat([near, ELSEWHERE]), truth())
    assert torch.equal(rois.boxes[rois.labels == 2], near)


def test_positives_of_one_picture_make_up_for_those_that_others_lack() -> None:
    """R-CNN draws from all pictures of a batch."""
    model = detector(sampling=Sampling(num_rois=20, positive_share=0.4, together=True))
    full, empty = torch.cat([around(OBJECTS, 15), ELSEWHERE]), ELSEWHERE.repeat(40, 1)
    rois = model.sample([empty, full, empty], [NOTHING, truth(), NOTHING])
    assert sum(len(of_picture.boxes) for of_picture in rois) == 20
    assert [int((of_picture.labels != 2).sum()) for of_picture in rois] == [0, 8, 0]
    assert len(rois[0].boxes) > 0
    assert len(rois[2].boxes) > 0
    positive = rois[1].labels != 2
    best, rows = box_iou(OBJECTS, rois[1].boxes).max(0)
    assert torch.equal(positive, best >= 0.5)
    assert torch.equal(rois[1].rows[positive], rows[positive])
    alone = detector(sampling=Sampling(num_rois=20, positive_share=0.4)).sample([empty, full], [NOTHING, truth()])
    assert [len(of_picture.boxes) for of_picture in alone] == [20, 9]  # of background, one is left


@pytest.mark.parametrize("objects", [truth(), NOTHING])
def test_boxes_of_zeros_are_never_sampled(objects: Truth) -> None:
    model = detector(sampling=Sampling(num_rois=20))
    proposals = torch.cat([around(OBJECTS, 15), ELSEWHERE.repeat(15, 1)])
    torch.manual_seed(1)
    expected = sampled(model, proposals, objects)
    torch.manual_seed(1)
    rois = sampled(model, torch.nn.functional.pad(proposals, FOLLOWED_BY_ZEROS), objects)
    assert torch.equal(rois.boxes, expected.boxes)
    assert torch.equal(rois.labels, expected.labels)
    only = sampled(model, torch.zeros(30, 4), objects)
    assert torch.equal(only.boxes, objects.boxes)


def test_losses_of_masks_and_poses_are_those_of_objects_that_count() -> None:
    model = detector()
    images, targets = pictures(2, SIZE)
    inputs = Inputs(Preprocess().normalise(images))
    assert all(loss > 0 for loss in model.loss(inputs, truths_of(targets)).values())
    crowds = truths_of([replace(target, crowd=torch.tensor([True, True])) for target in targets])
    losses = model.loss(inputs, crowds)
    assert losses["mask"] == losses["keypoint"] == losses["box"] == losses["rpn_box"] == 0


def test_which_classes_have_keypoints_is_known_before_training() -> None:
    model = detector()
    assert not model.keypoint_classes.any()
    model.begin(Disks())
    assert model.keypoint_classes.tolist() == [True, False]
    without = detector(num_keypoints=0)
    without.begin(Disks())
    assert not without.keypoint_classes.any()


@pytest.mark.parametrize("proposer", ["selective_search", "rpn"])
def test_proposals_take_the_place_of_the_proposers(proposer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RPN, "forward", lambda *_: pytest.fail("was asked"))
    monkeypatch.setattr(SelectiveSearch, "boxes", lambda *_: pytest.fail("was asked"))
    given = staying(searching(proposer=proposer))
    images, targets = pictures(2, SIZE)
    proposals = [targets[0].boxes, ELSEWHERE]
    first, second = given.read(given.inputs(images, proposals), [SIZE, SIZE])
    for result, boxes in ((first, proposals[0]), (second, proposals[1])):
        assert {tuple(box) for box in result.boxes.tolist()} == {tuple(box) for box in boxes.tolist()}


def test_proposals_go_with_their_pictures_whatever_runs_together() -> None:
    given = staying(searching())
    small, large = pictures(2, SIZE)[0], pictures(1, (70, 90))[0]
    images = [small[0], large[0], small[1]]
    proposals = [torch.tensor([[float(i), 5.0, 30.0, 40.0]]) for i in range(3)]
    sizes = [(image.shape[-2], image.shape[-1]) for image in images]
    for number, result in enumerate(given.infer_prepared(given.together(images, sizes, proposals))):
        assert isinstance(result, Detections)
        assert result.boxes[:, 0].unique().tolist() == [number]


@pytest.mark.parametrize("roi", ["warp", "pool", "align"])
def test_boxes_of_zeros_score_as_nothing_and_change_no_others(roi: str) -> None:
    heads = {"masks": False, "num_keypoints": 0} if roi == "warp" else {}
    model = searching(roi=roi, **heads)
    images = Preprocess().normalise(pictures(2, SIZE)[0])
    proposals = torch.stack([around(OBJECTS, 2), around(OBJECTS, 2)])
    expected = model(images, proposals)
    raw = model(images, torch.nn.functional.pad(proposals, FOLLOWED_BY_ZEROS))
    assert (raw.scores[:, 4:] == -1).all()
    assert raw.deltas.isfinite().all()
    torch.testing.assert_close(raw.scores[:, :4], expected.scores)
    torch.testing.assert_close(raw.deltas[:, :4], expected.deltas)


def test_where_nothing_is_proposed_nothing_is_found() -> None:
    given = system(detector().eval())
    images, targets = pictures(2, SIZE)
    nothing, something = given.read(given.inputs(images, [torch.zeros(0, 4), targets[1].boxes]), [SIZE, SIZE])
    assert len(nothing) == 0
    assert nothing.masks.shape == (0, *SIZE)
    assert nothing.keypoints.shape == (0, 3, 2)
    assert len(something) > 0
    none = given.read(given.inputs(images, [torch.zeros(0, 4)] * 2), [SIZE, SIZE])
    assert [len(result) for result in none] == [0, 0]


def test_results_are_in_the_original_picture() -> None:
    heatmaps = torch.zeros(2, 3, 56, 56)
    heatmaps[:, :, 28, 14] = 50.0  # halfway down, a quarter to the right
    masks = torch.zeros(2, 28, 28)
    masks[:, :, :14] = 1.0  # the left half
    boxes = torch.tensor([[20.0, 10.0, 60.0, 50.0], [0.0, 0.0, 80.0, 64.0]])
    rows = Rows(
        boxes=boxes[None],
        scores=torch.tensor([[0.9, 0.8]]),
        labels=torch.tensor([[1, 0]]),
        masks=masks[None],
        heatmaps=heatmaps[None],
        posed=torch.tensor([[True, False]]),  # of the second's class no keypoint was ever seen
    )
    (result,) = detector().reader.results(rows, SIZE, [(128, 240)])  # twice as high, three times as wide
    assert result.boxes.tolist() == [[60, 20, 180, 100], [0, 0, 240, 128]]
    mask = result.masks[0]
    assert mask[25:95, 65:115].all()
    assert not mask[:, 125:].any()
    assert not mask[:15].any()
    torch.testing.assert_close(result.keypoints[0], torch.tensor([90.0, 60.0]).expand(3, 2), atol=2.0, rtol=0)
    assert result.visibility.tolist() == [[2, 2, 2], [0, 0, 0]]
    assert result.keypoints[1].tolist() == [[0, 0]] * 3


def test_keypoints_are_those_of_the_classes_that_have_some() -> None:
    model = detector().eval()
    model.keypoint_classes[1] = True
    images = Preprocess().normalise(pictures(1, SIZE)[0])
    raw = model(images, OBJECTS[None])
    rows = model.extend(raw, Rows(OBJECTS[None], torch.tensor([[0.9, 0.8]]), torch.tensor([[1, 0]])))
    assert rows.posed.tolist() == [[True, False]]
    assert rows.heatmaps[0, 0].any()
    assert not rows.heatmaps[0, 1].any()


def test_proposals_of_a_learned_proposer_are_learned_from_but_not_through() -> None:
    model = detector(masks=False, num_keypoints=0)
    assert isinstance(model.proposer, RPN)
    images, targets = pictures(2, SIZE)
    losses = model.loss(Inputs(Preprocess().normalise(images)), truths_of(targets))
    (losses["class"] + losses["box"]).backward()
    assert all(parameter.grad is None for parameter in model.proposer.parameters())


def test_an_empty_picture_has_background_to_learn_from_whatever_its_lowest_iou() -> None:
    model = detector(sampling=Sampling(num_rois=8, background_iou=(0.1, 0.5)))
    assert len(sampled(model, ELSEWHERE.repeat(20, 1), NOTHING).boxes) == 8
    rois = sampled(model, ELSEWHERE.repeat(20, 1), truth())
    assert torch.equal(rois.boxes, OBJECTS), "beside objects, what touches none of them is too easy"


def test_selective_search_sees_the_original_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    model = searching(masks=False, num_keypoints=0)
    seen, given = [], []

    def boxes(_: SelectiveSearch, image: Tensor) -> Tensor:
        seen.append(image)
        return torch.tensor([[0.0, 0.0, 40.0, 30.0]])

    forward = model.forward

    def forwarded(images: Tensor, proposals: Tensor) -> TwoStageRaw:
        given.append(proposals)
        return forward(images, proposals)

    monkeypatch.setattr(SelectiveSearch, "boxes", boxes)
    monkeypatch.setattr(model, "forward", forwarded)
    image = torch.randint(0, 255, (3, 60, 80), dtype=torch.uint8)
    system(model, Preprocess(short_side=30, mean=(0.5, 0.5, 0.5))).infer([image])
    assert len(seen) == 1
    assert torch.equal(seen[0], image)
    assert given[0].tolist() == [[[0, 0, 20, 15]]]


def test_a_system_searches_where_no_proposals_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SelectiveSearch, "boxes", lambda _, image: image.amax((1, 2)).float()[[0, 0, 1, 1]][None])
    images = torch.zeros(2, 3, *SIZE, dtype=torch.uint8)
    images[1, 1] = 7
    assert system(searching()).inputs(images).proposals.tolist() == [[[0, 0, 0, 0]], [[0, 0, 7, 7]]]
    given = [ELSEWHERE, OBJECTS]
    assert torch.equal(system(searching()).inputs(images, given).proposals, padded(given))
    assert system(detector()).inputs(images).proposals is None


def test_a_proposer_that_needs_features_is_no_search() -> None:
    assert detector().search is None
    assert searching().proposer is None


def test_what_is_described_are_proposals_and_objects_without_boxes_of_zeros() -> None:
    model = searching()
    images, targets = pictures(2, SIZE)
    truths = truths_of(targets)
    images = Preprocess().normalise(images)
    proposals = torch.stack([around(OBJECTS, 2), around(OBJECTS, 2)])
    expected = model.describe(Inputs(images, proposals), truths)
    described = model.describe(Inputs(images, torch.nn.functional.pad(proposals, FOLLOWED_BY_ZEROS)), truths)
    for one, other in zip(described, expected, strict=True):
        assert torch.equal(one.proposals, other.proposals)
        assert one.features.shape == (4 + 2, model.box_head.num_features)
        torch.testing.assert_close(one.features, other.features)
    learned = detector().eval()
    (alone, _) = learned.describe(Inputs(images), truths)
    boxes = learned.propose(learned.levels(images), SIZE)[0]
    assert torch.equal(alone.proposals, boxes[boxes[:, 2] > boxes[:, 0]])
