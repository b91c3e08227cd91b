import itertools
from typing import Any

import pytest
import torch
from tests.models.systems import batch, pictures

from delineate.models.two_stage import fast_rcnn, faster_rcnn, keypoint_rcnn, mask_rcnn, rcnn
from delineate.models.two_stage.detector import Sampling
from delineate.models.two_stage.presets import two_stage
from delineate.models.two_stage.proposers import RPN, Selection, SelectiveSearch, SlidingWindow
from delineate.models.two_stage.rois import RoIAlign, RoIPool, RoIWarp
from delineate.nn.pyramids import FPN, SingleLevel
from delineate.values import InputError

PROPOSERS = {"sliding_window": SlidingWindow, "selective_search": SelectiveSearch, "rpn": RPN}
ROIS = {"warp": RoIWarp, "pool": RoIPool, "align": RoIAlign}
STAGES = [
    (proposer, roi, fpn)
    for proposer, roi, fpn in itertools.product(PROPOSERS, ROIS, (False, True))
    if not fpn or proposer == "rpn" or roi != "warp"
]


def detector(**stages: Any) -> Any:
    tiny = {"backbone": "resnet10t", "width": 16, "anchor_size": 16, "max_proposals": 40, "warp_size": 32}
    return two_stage(**{"num_classes": 2, "sampling": Sampling(num_rois=16), **tiny, **stages})


@pytest.mark.parametrize(("proposer", "roi", "fpn"), STAGES)
def test_every_proposer_goes_with_all_roi_features(proposer: str, roi: str, fpn: bool) -> None:
    heads = {} if roi == "warp" else {"masks": True, "num_keypoints": 3}
    model = detector(proposer=proposer, roi=roi, fpn=fpn, **heads)
    proposes, other = (model.proposer, model.search) if proposer == "rpn" else (model.search, model.proposer)
    assert isinstance(proposes, PROPOSERS[proposer])
    assert other is None
    assert isinstance(model.roi_features, ROIS[roi])
    alone = proposer != "rpn" and roi == "warp"
    assert type(model.pyramid) is (type(None) if alone else FPN if fpn else SingleLevel)
    images, targets = pictures(2, (64, 80))
    losses = model.loss(*batch(model, images, targets))
    expected = {"class", "box"}
    expected |= {"objectness", "rpn_box"} if proposer == "rpn" else set()
    expected |= {"mask", "keypoint"} if heads else set()
    assert set(losses) == expected
    sum(losses.values()).backward()
    assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("proposer", ["sliding_window", "selective_search"])
def test_a_pyramid_of_nothing_is_refused_in_one_line(proposer: str) -> None:
    with pytest.raises(InputError, match=rf"^fpn: with --proposer {proposer} and --roi warp .* add --no-fpn") as error:
        detector(proposer=proposer, roi="warp", fpn=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("system", [mask_rcnn, keypoint_rcnn])
def test_masks_and_keypoints_of_pixels_are_refused_in_one_line(system: Any) -> None:
    keypoints = {"num_keypoints": 3} if system is keypoint_rcnn else {}
    with pytest.raises(InputError, match=r"^roi: masks and keypoints .* choose --roi pool or align$"):
        system(num_classes=2, backbone="resnet10t", roi="warp", **keypoints)


def test_presets_are_the_papers() -> None:
    first = rcnn(num_classes=2, backbone="resnet10t")
    assert isinstance(first.search, SelectiveSearch)
    assert isinstance(first.roi_features, RoIWarp)
    assert first.classifier == "svm"
    assert first.box_head.boxes_from == "map"
    assert first.sampling == Sampling(num_rois=128, positive_share=0.25, together=True)
    assert first.roi_features.context == 16  # of 224 pixels, as 16 of 227
    second = fast_rcnn(num_classes=2, backbone="resnet10t")
    assert isinstance(second.search, SelectiveSearch)
    assert isinstance(second.roi_features, RoIPool)
    third = faster_rcnn(num_classes=2, backbone="resnet10t", fpn=False, roi="pool")
    assert isinstance(third.proposer, RPN)
    assert isinstance(third.pyramid, SingleLevel)
    assert third.proposer.sizes == ((128, 256, 512),)  # all at the one level
    assert third.proposer.when_testing == Selection(6000, 300)
    assert third.most_objects == 300
    assert not third.proposer.crossing
    pyramidal = faster_rcnn(num_classes=2, backbone="resnet10t")
    assert pyramidal.proposer.sizes == ((32,), (64,), (128,), (256,), (512,))
    assert pyramidal.proposer.when_testing == Selection(1000, 1000)
    assert pyramidal.proposer.crossing
    assert [part.reader.thresholds.nms_iou for part in (first, second, third, pyramidal)] == [0.3, 0.3, 0.3, 0.5]


def test_fully_connected_layers_behind_a_vgg_have_dropout() -> None:
    def dropout(**options: Any) -> float:
        return float(faster_rcnn(num_classes=2, width=16, **options).box_head.dropout)

    assert dropout(backbone="vgg11", fpn=False) == 0.5
    assert dropout(backbone="vgg11", fpn=True) == dropout(backbone="resnet10t", fpn=False) == 0.0


@pytest.mark.parametrize(
    ("system", "nearest"), [(rcnn, 0.0), (fast_rcnn, 0.1), (faster_rcnn, 0.1), (mask_rcnn, 0.1), (keypoint_rcnn, 0.1)]
)
def test_the_background_of_features_is_nearly_an_object(system: Any, nearest: float) -> None:
    keypoints = {"num_keypoints": 3} if system is keypoint_rcnn else {}
    assert system(num_classes=2, backbone="resnet10t", **keypoints).sampling.background_iou == (nearest, 0.5)


@pytest.mark.parametrize(("proposer", "roi"), [("rpn", "align"), ("sliding_window", "warp")])
def test_frozen_norms_are_those_of_the_backbone(proposer: str, roi: str) -> None:
    model = detector(proposer=proposer, roi=roi, fpn=False, frozen_norm=True).train()
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training or norm.weight.requires_grad for norm in norms)
