"""SVMs and box regression on constructed features, and against scikit-learn's own fits to all of them at once."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC
from torch import Tensor

from delineate.models.contract import Inputs
from delineate.models.two_stage import TwoStageDetector, rcnn, svm
from delineate.models.two_stage.heads.box import WEIGHTS, FeatureHead, Seen
from delineate.models.two_stage.svm import (
    NEGATIVE,
    NEITHER,
    NORM,
    POSITIVE,
    Described,
    Moves,
    box_moves,
    collect,
    fit_ridge,
    fit_svms,
    standardise,
    svm_roles,
)
from delineate.ops.boxes import decode_boxes
from delineate.values import Target, Truth

WIDTH = 12


def quiet(line: str) -> None: ...


def gaussians(num_negatives: int, num_positives: int = 40, apart: float = 2.0) -> tuple[Tensor, Tensor]:
    """Features of two classes around two centres and of background around zero, of unlike means and deviations."""
    centres = torch.zeros(2, WIDTH)
    centres[0, 0] = centres[1, 1] = apart
    positives = centres.repeat_interleave(num_positives, 0) + torch.randn(2 * num_positives, WIDTH)
    features = torch.cat([positives, torch.randn(num_negatives, WIDTH)])
    roles = torch.full((len(features), 2), NEGATIVE, dtype=torch.int8)
    roles[:num_positives, 0] = roles[num_positives : 2 * num_positives, 1] = POSITIVE
    return features * torch.logspace(-2, 2, WIDTH) + torch.linspace(-5, 5, WIDTH), roles


def test_scaled_features_have_one_deviation_and_the_norm() -> None:
    features = torch.cat([gaussians(500)[0], torch.full((580, 1), 7.0)], 1)
    scaled = standardise(features)(features)
    assert scaled.mean(0).abs().max() < 1e-9
    assert torch.allclose(scaled[:, :-1].std(0, correction=0), torch.tensor(NORM / WIDTH**0.5).double())
    assert scaled.square().sum(1).mean().sqrt() == pytest.approx(NORM)
    assert not scaled[:, -1].any()


def test_svms_separate_what_can_be_separated() -> None:
    features, roles = gaussians(3000, apart=9.0)
    scale = standardise(features)
    margins = svm.Affine(*fit_svms(features, roles, scale, quiet))
    outputs = scale(features) @ margins.weight.T + margins.bias
    assert torch.equal(outputs > 0, roles == POSITIVE)


def test_mining_ends_where_one_fit_to_all_negatives_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svm, "FIRST", 50)
    monkeypatch.setattr(svm, "FIRST_RATIO", 1)
    monkeypatch.setattr(svm, "BLOCK", 999)
    features, roles = gaussians(20_000)
    lines: list[str] = []
    scale = standardise(features)
    mined = fit_svms(features, roles, scale, lines.append)
    assert "hard negatives added in pass 1" in lines[0]
    scaled = scale(features).numpy()
    for label in range(2):
        whole = LinearSVC(
            C=svm.COST, loss="hinge", class_weight={1: 2.0}, intercept_scaling=10.0, random_state=0, max_iter=10**5
        ).fit(scaled, roles[:, label] == POSITIVE)
        expected = whole.decision_function(scaled)
        margins = scaled @ mined.weight[label].numpy() + mined.bias[label].item()
        assert np.abs(margins - expected).max() < 0.05 * np.abs(expected).max()
        random = svm.fit_svm(
            features, torch.arange(label * 40, label * 40 + 40), torch.arange(80, 130), scale
        )  # what it begins with
        begun = scaled @ random[0].numpy() + random[1]
        assert np.abs(margins - expected).mean() < 0.1 * np.abs(begun - expected).mean()


def test_only_hard_negatives_are_used_and_no_more_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    features = (torch.arange(600.0)[:, None] - 299.5) / 100
    roles = torch.full((600, 1), NEGATIVE, dtype=torch.int8)
    roles[550:] = NEITHER
    used = torch.zeros(600, 1, dtype=torch.bool)
    used[:250] = True  # margins -2.995 .. -0.505
    scale = svm.Scale(torch.zeros(1).double(), torch.ones(1).double())
    svms = svm.Affine(torch.ones(1, 1).double(), torch.zeros(1).double())
    added = svm.mine(features, roles, scale, svms, used, most=1000)
    assert added.tolist() == [300]  # margins -0.495 .. 2.495; what is neither is left out
    assert used[:, 0].nonzero()[:, 0].tolist() == list(range(180, 550))
    svm.mine(features, roles, scale, svms, used, most=10)
    assert used[:, 0].nonzero()[:, 0].tolist() == list(range(540, 550))


def test_the_folded_scale_gives_the_same_numbers_of_features_as_they_are() -> None:
    features, roles = gaussians(1000)
    scale = standardise(features)
    margins = fit_svms(features, roles, scale, quiet)
    folded = scale.folded(margins)
    raw = features.double() @ folded.weight.T + folded.bias
    assert torch.allclose(raw, scale(features) @ margins.weight.T + margins.bias, atol=1e-9)


def test_classes_without_positives_or_negatives_have_margins_all_the_same() -> None:
    features, roles = gaussians(100)
    roles[roles[:, 0] == POSITIVE, 0] = NEITHER
    roles[roles[:, 1] == NEGATIVE, 1] = NEITHER
    lines: list[str] = []
    scale = standardise(features)
    margins = fit_svms(features, roles, scale, lines.append)
    outputs = scale(features) @ margins.weight.T + margins.bias
    assert (outputs[:, 0] < -3).all()
    assert (outputs[:, 1] > 0).all()
    assert lines[0] == "SVMs: none for 1 of 2 classes, of which there is no object"
    nothing = torch.zeros(0, WIDTH)
    assert fit_svms(nothing, roles[:0], standardise(nothing), quiet).bias.tolist() == [svm.NOWHERE] * 2


@pytest.mark.parametrize("count", [250, WIDTH], ids=["more rows than features", "fewer"])
def test_ridge_regression_is_the_closed_form(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(svm, "BLOCK", 70 if count > WIDTH else 5)
    features = gaussians(300)[0]
    rows = torch.randperm(len(features))[:count]
    labels = torch.randint(0, 2, (count,))
    scale = standardise(features)
    deltas = (scale(features[rows]) @ torch.randn(WIDTH, 4).double() + 0.1 * torch.randn(count, 4) + 3).float()
    fitted = fit_ridge(features, Moves(rows, labels, deltas), scale, num_classes=3)
    for label in range(2):
        members = labels == label
        examples = scale(features[rows[members]]).numpy()
        ridge = Ridge(alpha=svm.RIDGE).fit(examples, deltas[members].numpy())
        part = slice(4 * label, 4 * label + 4)
        assert np.allclose(fitted.weight[part].numpy(), ridge.coef_, atol=1e-5)
        assert np.allclose(fitted.bias[part].numpy(), ridge.intercept_, atol=1e-4)
    assert not fitted.weight[8:].any()
    assert not fitted.bias[8:].any()


def truth(boxes: list[list[float]], labels: list[int], **flags: list[bool]) -> Truth:
    target = Target(
        image_size=(100, 100),
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        **{name: torch.tensor(values) for name, values in flags.items()},
    )
    return Truth.of(target)


def test_what_boxes_are_to_each_class() -> None:
    proposals = torch.tensor(
        [
            [10.0, 10, 30, 30],  # the object itself, as a proposal
            [10.0, 10, 30, 15],  # 1/4 of it
            [10.0, 10, 30, 17],  # 7/20 of it
            [60.0, 60, 80, 80],  # in the crowd
            [40.0, 40, 46, 46],  # in the difficult object
            [80.0, 0, 100, 20],  # nowhere
            [60.0, 40, 80, 68],  # 8/28 of it in the crowd
        ]
    )
    objects = truth(
        [[10, 10, 30, 30], [50, 60, 90, 90], [40, 40, 48, 48], [10, 12, 30, 32]],
        [0, 0, 1, 1],
        crowd=[False, True, False, False],
        difficult=[False, False, True, False],
    )
    roles = svm_roles(proposals, objects, num_classes=3)
    assert roles.tolist() == [
        [NEITHER, NEITHER, NEGATIVE],
        [NEGATIVE, NEGATIVE, NEGATIVE],
        [NEITHER, NEGATIVE, NEGATIVE],
        [NEITHER, NEITHER, NEITHER],
        [NEITHER, NEITHER, NEITHER],
        [NEGATIVE, NEGATIVE, NEGATIVE],
        [NEGATIVE, NEGATIVE, NEGATIVE],
        [POSITIVE, NEITHER, NEGATIVE],  # the first object; the other class's one is near
        [NEITHER, POSITIVE, NEGATIVE],
    ]
    assert svm_roles(proposals[:0], truth([], []), 3).shape == (0, 3)
    assert (svm_roles(proposals, truth([], []), 3) == NEGATIVE).all()


def test_proposals_near_an_object_lead_to_the_one_that_they_overlap_best() -> None:
    proposals = torch.tensor(
        [[10.0, 10, 30, 29], [10.0, 10, 30, 27], [12.0, 12, 30, 30], [50.0, 50, 70, 60], [61.0, 61, 79, 79]]
    )
    objects = truth(
        [[10, 10, 30, 30], [10, 10, 30, 26], [50, 50, 70, 70], [60, 60, 80, 80]],
        [0, 1, 0, 0],
        crowd=[False, False, False, True],
    )
    moves = box_moves(proposals, objects)
    pairs = {(int(row), int(label)) for row, label in zip(moves.rows, moves.labels, strict=True)}
    assert pairs == {(0, 0), (1, 1), (2, 0)}  # 0.95 and 0.84, 0.85 and 0.94, 0.81 and 0.68; the fourth is 0.5
    reached = decode_boxes(moves.deltas, proposals[moves.rows], WEIGHTS)
    expected = torch.where(moves.labels[:, None] == 0, objects.boxes[0], objects.boxes[1])
    assert torch.allclose(reached, expected, atol=1e-4)
    assert len(box_moves(proposals, truth([], [])).rows) == 0


def test_the_features_on_disk_are_bounded_and_the_likeliest_are_kept() -> None:
    head = FeatureHead(channels=2304, size=1, num_classes=2, width=WIDTH, boxes_from="map").eval()  # 2 x 2 of them
    objects = truth([[10, 10, 30, 30]], [1])
    proposals = torch.tensor([[0.0, 0, 20, 20]]).repeat(30, 1) + torch.arange(30.0)[:, None]

    def describe(inputs: Inputs, truths: Sequence[Truth]) -> list[Described]:
        numbers = [int(image[0, 0, 0]) for image in inputs.images]
        return [Described(proposals, features[number], maps[number]) for number in numbers]

    features, maps = torch.randn(4, 31, WIDTH), torch.randn(4, 30, 4 * 2304)
    images = torch.arange(4.0).reshape(2, 2, 1, 1, 1).expand(2, 2, 3, 1, 1)
    batches = [(Inputs(pair), [objects, objects]) for pair in images]
    lines: list[str] = []
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as other, torch.no_grad():
        whole = collect(head, describe, batches, file, other, lines.append)
        assert torch.equal(whole.features, features.flatten(0, 1).half())
        assert whole.roles.shape == (124, 2)
        assert whole.moves.rows.tolist() == list(range(4 * 5))
        assert torch.equal(whole.maps, maps[:, 8:13].flatten(0, 1).half())  # those near the object
        reached = decode_boxes(whole.moves.deltas[:5], proposals[8:13], WEIGHTS)
        torch.testing.assert_close(reached, objects.boxes.expand(5, -1))
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as other, torch.no_grad():
        part = collect(head, describe, batches, file, other, lines.append, limit=43 * (2 * WIDTH + 2))
        assert len(part.maps) == len(part.moves.rows) == 0  # a map takes more than all of it
        some = collect(head, describe, batches, file, other, lines.append, limit=11 * 2 * 4 * 2304)
        assert len(some.moves.rows) == 11
        scores = head.classify(features).softmax(2)[..., :2].amax(2)
    assert lines[0] == "features of 124 boxes"
    assert lines[1] == "features of 43 boxes, the likeliest of 124: all would take more than 0.0 GiB"
    kept = [scores[number, :30].topk(count).indices.sort().values for number, count in enumerate((9, 10, 10, 10))]
    expected = [features[number][torch.cat([rows, torch.tensor([30])])] for number, rows in enumerate(kept)]
    assert torch.equal(part.features, torch.cat(expected).half())
    assert part.roles.shape == (43, 2)


def test_no_pictures_and_no_boxes_fit_to_nothing(tmp_path: Path) -> None:
    head = FeatureHead(channels=1, size=1, num_classes=2, width=WIDTH, boxes_from="map").eval()
    svm.fit_box_head(head, lambda inputs, truths: [], [], tmp_path, quiet)
    outputs = head.judge(Seen(torch.randn(3, WIDTH), torch.randn(3, head.regress.in_features)))
    assert (head.probabilities(outputs.logits) < 0.01).all()
    assert not outputs.deltas.any()
    assert not any(tmp_path.iterdir())


@pytest.fixture
def detector() -> TwoStageDetector:
    return rcnn(num_classes=2, backbone="resnet10t", proposer="sliding_window", warp_size=32).eval()


def test_a_detector_says_what_its_svms_say(detector: TwoStageDetector, tmp_path: Path) -> None:
    objects = truth([[10, 10, 30, 30], [40, 40, 80, 80]], [0, 1])
    images = torch.rand(1, 3, 100, 100)
    images[0, 0, 10:30, 10:30], images[0, 1, 40:80, 40:80] = 3, 3
    windows = detector.search.windows((100, 100))
    near_objects = objects.boxes.repeat(4, 1) + torch.arange(8.0)[:, None] / 2
    proposals = torch.cat([windows[torch.randperm(len(windows))[:72]], near_objects])
    inputs = Inputs(images, proposals[None])
    assert detector.fits
    detector.fit([(inputs, [objects])], tmp_path, quiet)
    assert detector.fits  # a stage that was killed is done again
    assert not any(tmp_path.iterdir())
    (described,) = detector.describe(inputs, [objects])
    assert len(described.features) == 80 + 2
    assert torch.equal(described.proposals, proposals)
    examples = described.features.half()
    scale = standardise(examples)
    roles = svm_roles(proposals, objects, 2)
    expected = fit_svms(examples, roles, scale, quiet)
    margins = scale(examples) @ expected.weight.T + expected.bias
    outputs = detector.box_head.judge(Seen(described.features[:80], described.maps))
    near = box_moves(proposals, objects)
    scale_of_maps = standardise(described.maps[near.rows].half())
    ridge = fit_ridge(described.maps.half(), near, scale_of_maps, 2)
    expected_deltas = scale_of_maps(described.maps) @ ridge.weight.T + ridge.bias
    assert outputs.deltas.any()
    assert torch.allclose(outputs.deltas.flatten(1).double(), expected_deltas, atol=0.02)
    outputs = detector.box_head.judge(Seen(described.features, described.features.new_zeros(82, 16 * 512)))
    assert torch.allclose(outputs.logits[:, :2].double(), margins, atol=0.02)
    assert not outputs.logits[:, 2].any()
    scores = detector.box_head.probabilities(outputs.logits)
    assert torch.allclose(scores, outputs.logits[:, :2].sigmoid())
    assert scores[-2, 0] > 0.5 > scores[-1, 0]
    rows = detector.reader.find(detector(*inputs), (100, 100))
    assert rows.scores[0, 0].item() == pytest.approx(scores[:-2].max().item(), abs=1e-4)


def test_without_box_regression_svms_alone_are_fitted(tmp_path: Path) -> None:
    model = rcnn(
        num_classes=2, backbone="resnet10t", proposer="sliding_window", warp_size=32, box_regression=False
    ).eval()
    images, objects = torch.rand(1, 3, 100, 100), truth([[10, 10, 30, 30]], [0])
    inputs = Inputs(images, model.search.windows((100, 100))[None, :40])
    lines: list[str] = []
    model.fit([(inputs, [objects])], tmp_path, lines.append)
    assert model.box_head.one_vs_rest
    assert not any("box regression" in line for line in lines)
    assert not model(*inputs).deltas.any()
    assert set(model.loss(inputs, [objects])) == {"class"}


def test_softmax_has_nothing_to_fit() -> None:
    assert not rcnn(num_classes=2, backbone="resnet10t", proposer="sliding_window", classifier="softmax").fits
