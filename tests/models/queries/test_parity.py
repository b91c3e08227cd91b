"""The same weights give what Transformers' DETR gives: logits, boxes, matching and losses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import box_convert

from delineate.models.contract import Inputs
from delineate.models.queries import DETR
from delineate.models.queries.detr import class_cost
from delineate.models.queries.matching import QueryObjects, assign
from delineate.system.importers import import_transformers
from delineate.values import InputError, Target, Truth, truths_of

transformers = pytest.importorskip("transformers")

NUM_CLASSES, NUM_LAYERS = 4, 3
SIZE = (96, 128)
RENAMED = {".out_proj.": ".o_proj.", ".fc": ".mlp.fc", ".backbone.conv_encoder.model.": ".backbone.model."}
"""What published files call a weight, and what the newest Transformers does."""


def theirs_at_random(seed: int) -> Any:
    torch.manual_seed(seed)
    size = {"d_model": 64, "encoder_ffn_dim": 512, "decoder_ffn_dim": 512, "num_queries": 15}
    config = transformers.DetrConfig(
        **size,
        num_labels=NUM_CLASSES,
        encoder_layers=NUM_LAYERS,
        decoder_layers=NUM_LAYERS,
        use_timm_backbone=True,
        backbone="resnet50",
        use_pretrained_backbone=False,
        backbone_config=None,
        auxiliary_loss=True,
    )
    model = transformers.DetrForObjectDetection(config).eval()
    with torch.no_grad():
        model.class_labels_classifier.weight.normal_(std=0.5)
        model.bbox_predictor.layers[-1].weight.normal_(std=0.5)
    return model


@pytest.fixture(scope="module", params=[0, 1])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, DETR]:
    theirs = theirs_at_random(request.param)
    file = tmp_path_factory.mktemp("weights") / "theirs.pth"
    torch.save(published(theirs.state_dict()) if request.param else theirs.state_dict(), file)
    ours = import_transformers(file).model
    assert isinstance(ours, DETR)
    return theirs, ours


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same under the names that published files have."""
    renamed = {}
    for key, value in state.items():
        for old, new in RENAMED.items():
            if old not in key:
                key = key.replace(new, old)
        renamed[key] = value
    return renamed


def pictures(size: tuple[int, int] = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return nn.functional.interpolate(torch.randn(2, 3, 9, 9, generator=generator), size=size, mode="bilinear")


def targets() -> list[Target]:
    boxes = [
        torch.tensor([[10.0, 20.0, 60.0, 90.0], [30.0, 40.0, 120.0, 80.0], [0.0, 0.0, 20.0, 12.0]]),
        torch.tensor([[70.0, 50.0, 128.0, 96.0]]),
    ]
    labels = [torch.tensor([0, 3, 2]), torch.tensor([1])]
    return [Target(image_size=SIZE, boxes=b, labels=own) for b, own in zip(boxes, labels, strict=True)]


@pytest.mark.parametrize("size", [SIZE, (97, 141)])
def test_logits_and_boxes_equal(pair: tuple[Any, DETR], size: tuple[int, int]) -> None:
    theirs, ours = pair
    with torch.no_grad():
        expected, raw = theirs(pixel_values=pictures(size)), ours(pictures(size))
    torch.testing.assert_close(raw.logits[-1], expected.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(raw.boxes[-1], expected.pred_boxes, atol=1e-5, rtol=1e-4)


def their_labels() -> list[dict[str, Tensor]]:
    scale = torch.tensor([SIZE[1], SIZE[0], SIZE[1], SIZE[0]])
    return [
        {"class_labels": target.labels, "boxes": box_convert(target.boxes / scale, "xyxy", "cxcywh")}
        for target in targets()
    ]


def test_losses_equal(pair: tuple[Any, DETR]) -> None:
    theirs, ours = pair
    with torch.no_grad():
        expected = theirs(pixel_values=pictures(), labels=their_labels()).loss_dict
        losses = ours.loss(Inputs(pictures()), truths_of(targets()))
    assert_same_losses(losses, expected)


def assert_same_losses(losses: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    weights = {"class": ("loss_ce", 1), "box": ("loss_bbox", 5), "giou": ("loss_giou", 2)}
    for name, (their_name, weight) in weights.items():
        by_layer = [expected[their_name], *(expected[f"{their_name}_{i}"] for i in range(NUM_LAYERS - 1))]
        torch.testing.assert_close(losses[name], weight * torch.stack(by_layer).sum(), atol=1e-4, rtol=1e-4)


def test_a_padded_picture_is_seen_as_it_is_without_what_pads_it(pair: tuple[Any, DETR]) -> None:
    """Their mask, at the map's resolution, has the places that begin in the picture."""
    theirs, ours = pair
    whole, (first, second) = pictures(), targets()
    narrow = Target(image_size=(60, 90), boxes=torch.tensor([[40.0, 30.0, 90.0, 60.0]]), labels=second.labels)
    mask = torch.ones(2, *SIZE, dtype=torch.int64)
    mask[1, 60:] = mask[1, :, 90:] = 0
    padded = whole * mask[:, None]
    labels = their_labels()
    labels[1]["boxes"] = box_convert(narrow.boxes / torch.tensor([90, 60, 90, 60]), "xyxy", "cxcywh")
    with torch.no_grad():
        expected = theirs(pixel_values=padded, pixel_mask=mask, labels=labels).loss_dict
        losses = ours.loss(Inputs(padded), truths_of([first, narrow]))
        unaware = ours.loss(Inputs(padded), truths_of([first, replace(narrow, image_size=SIZE)]))
    assert_same_losses(losses, expected)
    assert abs(unaware["class"] - losses["class"]) > 1e-3


def test_matching_equal(pair: tuple[Any, DETR]) -> None:
    from transformers.loss.loss_for_object_detection import HungarianMatcher

    ours = pair[1]
    with torch.no_grad():
        outputs = ours(pictures())
    matcher = HungarianMatcher(class_cost=1, bbox_cost=5, giou_cost=2)
    expected = matcher({"logits": outputs.logits[-1], "pred_boxes": outputs.boxes[-1]}, their_labels())
    for picture, target in enumerate(targets()):
        logits, boxes = outputs.logits[-1, [picture]], outputs.boxes[-1, [picture]]
        _, *assigned = assign(logits, boxes, [QueryObjects.of(Truth.of(target))], class_cost)
        assert [rows.tolist() for rows in assigned] == [rows.tolist() for rows in expected[picture]]


def test_ids_that_coco_does_not_use_are_dropped(tmp_path: Path) -> None:
    state = theirs_at_random(0).state_dict()
    state["class_labels_classifier.weight"], state["class_labels_classifier.bias"] = (
        torch.randn(92, 64),
        torch.randn(92),
    )
    torch.save(state, tmp_path / "coco.pth")
    system = import_transformers(tmp_path / "coco.pth")
    assert len(system.categories.class_names) == 80
    assert system.categories.class_names[:2] == ("person", "bicycle")
    bias = system.model.state_dict()["classify.bias"]
    assert torch.equal(bias[[0, -1]], state["class_labels_classifier.bias"][[1, 91]])


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other.pth: no weight 'model.query_position_embeddings.weight'"):
        import_transformers(tmp_path / "other.pth")
