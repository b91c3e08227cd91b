"""The same weights give what Transformers' RT-DETR, its second version and D-FINE give.

Their criterion is asked here for each layer by itself: their own sum pairs the edges of D-FINE's layers with the
classes and boxes of the layers before (`zip` over lists of which one is longer), and leaves out those of the last.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from delineate.models.contract import Inputs
from delineate.models.queries import RTDETR
from delineate.models.queries.criterion import class_cost
from delineate.models.queries.denoising import seen_by, tell
from delineate.models.queries.matching import QueryObjects, assign
from delineate.system.importers import import_transformers
from delineate.values import InputError, Target, truths_of

transformers = pytest.importorskip("transformers")

NUM_CLASSES, WIDTH, SIZE = 3, 32, (128, 128)
SHARED = {
    "d_model": WIDTH,
    "encoder_hidden_dim": WIDTH,
    "decoder_in_channels": [WIDTH] * 3,
    "num_labels": NUM_CLASSES,
    "encoder_ffn_dim": 4 * WIDTH,
    "decoder_ffn_dim": 4 * WIDTH,
    "decoder_layers": 3,
}
RT = dict(hidden_expansion=0.5, **SHARED)
FINE = dict(depth_mult=0.34, decoder_n_points=[3, 6, 3], reg_scale=8.0, encoder_in_channels=[256, 512, 1024], **SHARED)
RESNET18 = {
    "depths": [2, 2, 2, 2],
    "hidden_sizes": [64, 128, 256, 512],
    "layer_type": "basic",
    "out_indices": [2, 3, 4],
}
HGNET = {
    "stem_channels": [3, 16, 16],
    "stage_in_channels": [16, 64, 256, 512],
    "stage_mid_channels": [16, 32, 64, 128],
    "stage_out_channels": [64, 256, 512, 1024],
    "hidden_sizes": [64, 256, 512, 1024],
    "stage_num_blocks": [1, 1, 2, 1],
    "stage_numb_of_layers": [3, 3, 3, 3],
    "use_learnable_affine_block": True,
    "out_indices": [2, 3, 4],
}
"""As timm's `hgnetv2_b0` is."""


def theirs_at_random(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "d_fine":
        model = transformers.DFineForObjectDetection(
            transformers.DFineConfig(**FINE, backbone_config=transformers.HGNetV2Config(**HGNET))
        )
    elif kind == "rt_detr":
        model = transformers.RTDetrForObjectDetection(transformers.RTDetrConfig(**RT))
    else:
        model = transformers.RTDetrV2ForObjectDetection(
            transformers.RTDetrV2Config(**RT, backbone_config=transformers.RTDetrResNetConfig(**RESNET18))
        )
    with torch.no_grad():
        for key, value in model.named_parameters():
            if value.ndim == 2:
                value.normal_(std=0.3 if "embed" in key or "enc_score" in key else 0.15)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):  # Transformers makes them nearly zero
                module.weight.uniform_(0.5, 1.0)
    return model.eval()


@pytest.fixture(scope="module", params=["rt_detr", "rt_detr_v2", "d_fine"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, RTDETR]:
    theirs = theirs_at_random(request.param)
    file = tmp_path_factory.mktemp("weights") / "theirs.pth"
    torch.save(published(theirs.state_dict()) if request.param == "rt_detr_v2" else theirs.state_dict(), file)
    ours = import_transformers(file).model
    assert isinstance(ours, RTDETR)
    return theirs, ours


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same under the names that published files have."""
    old = {".o_proj.": ".out_proj.", "encoder.aifi.": "encoder.encoder.", ".mlp.fc": ".fc"}
    for new, before in old.items():
        state = {key.replace(new, before): value for key, value in state.items()}
    return state


def pictures() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return nn.functional.interpolate(torch.randn(2, 3, 9, 9, generator=generator), size=SIZE, mode="bilinear")


def targets() -> list[Target]:
    boxes = [
        torch.tensor([[10.0, 20.0, 60.0, 90.0], [30.0, 40.0, 120.0, 80.0], [0.0, 0.0, 20.0, 12.0]]),
        torch.tensor([[70.0, 50.0, 128.0, 96.0]]),
    ]
    labels = [torch.tensor([0, 2, 2]), torch.tensor([1])]
    return [Target(image_size=SIZE, boxes=b, labels=own) for b, own in zip(boxes, labels, strict=True)]


def objects() -> list[QueryObjects]:
    return [QueryObjects.of(truth) for truth in truths_of(targets())]


def their_labels() -> list[dict[str, Tensor]]:
    return [{"class_labels": one.labels, "boxes": one.boxes} for one in objects()]


def test_logits_and_boxes_of_all_layers_equal(pair: tuple[Any, RTDETR]) -> None:
    theirs, ours = pair
    decoder = theirs.model.decoder
    decoder.train()  # else D-FINE's earlier layers say nothing
    with torch.no_grad():
        expected, raw = theirs(pixel_values=pictures()), ours(pictures())
    logits = torch.cat([expected.enc_topk_logits[:, None], expected.intermediate_logits], 1).transpose(0, 1)
    boxes = torch.cat([expected.enc_topk_bboxes[:, None], expected.intermediate_reference_points], 1).transpose(0, 1)
    assert logits.std() > 0.3
    assert boxes[-1].sub(boxes[0]).abs().mean() > 0.01
    torch.testing.assert_close(raw.logits, logits, atol=1e-4, rtol=1e-4)
    pixels = torch.tensor([SIZE[1], SIZE[0], SIZE[1], SIZE[0]])
    torch.testing.assert_close(raw.boxes * pixels, boxes * pixels, atol=1e-2, rtol=0)


def test_queries_are_told_the_same(pair: tuple[Any, RTDETR]) -> None:
    from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import get_contrastive_denoising_training_group

    ours = pair[1]
    torch.manual_seed(3)
    content, boxes, mask, meta = get_contrastive_denoising_training_group(
        their_labels(), NUM_CLASSES, 300, ours.denoising.labels
    )
    torch.manual_seed(3)
    own_content, told = ours.denoising(objects())
    torch.testing.assert_close(own_content, content)
    torch.testing.assert_close(told.boxes.sigmoid(), boxes.sigmoid(), atol=1e-6, rtol=1e-5)
    seen = seen_by(told.labels.shape[1], told.num_groups, 300, mask.device)
    assert torch.equal(seen[0], mask == 0)
    assert told.num_groups == meta["dn_num_group"]
    for picture, queries in enumerate(meta["dn_positive_idx"]):
        assert torch.equal(told.pairs[1, told.pairs[0] == picture], queries)


def test_matching_equal(pair: tuple[Any, RTDETR]) -> None:
    from transformers.loss.loss_rt_detr import RTDetrHungarianMatcher

    theirs, ours = pair
    with torch.no_grad():
        raw = ours(pictures())
    matcher = RTDetrHungarianMatcher(theirs.config)
    for logits, boxes in zip(raw.logits, raw.boxes.clamp(0, 1), strict=True):
        expected = matcher({"logits": logits, "pred_boxes": boxes}, their_labels())
        rows, queries, numbers = assign(logits, boxes, objects(), class_cost)
        assert queries[rows == 0].tolist() == expected[0][0].tolist()
        assert queries[rows == 1].tolist() == expected[1][0].tolist()
        assert numbers.tolist() == [*expected[0][1].tolist(), *(expected[1][1] + 3).tolist()]


def test_losses_equal(pair: tuple[Any, RTDETR]) -> None:
    """Of the selection and of each layer, of matched queries and of those that are told."""
    theirs, ours = pair
    theirs.train()
    ours.train()
    torch.manual_seed(5)
    with torch.no_grad():
        outputs = theirs(pixel_values=pictures(), labels=their_labels())
        torch.manual_seed(5)
        losses = ours.loss(Inputs(pictures()), truths_of(targets()))
    theirs.eval()
    ours.eval()
    expected = by_layer(theirs, outputs)
    assert set(losses) == set(expected)
    for name, loss in losses.items():
        assert loss > 0.01
        torch.testing.assert_close(loss, expected[name], atol=1e-4, rtol=1e-4)
    if "edges" not in losses:  # their own sum is right
        torch.testing.assert_close(sum(losses.values()), outputs.loss, atol=1e-4, rtol=1e-4)


NAMES = {"loss_vfl": "class", "loss_bbox": "box", "loss_giou": "giou", "loss_fgl": "edges", "loss_ddf": "teacher"}


def by_layer(theirs: Any, outputs: Any) -> dict[str, Tensor]:
    """Ask their criterion for each layer, and add up."""
    from transformers.loss.loss_d_fine import DFineLoss
    from transformers.loss.loss_rt_detr import RTDetrLoss

    meta = outputs.denoising_meta_values
    fine = outputs.intermediate_predicted_corners is not None
    criterion = (DFineLoss if fine else RTDetrLoss)(theirs.config)
    told, own = (
        layers_of(outputs, slice(None, meta["dn_num_split"][0])),
        layers_of(outputs, slice(meta["dn_num_split"][0], None)),
    )
    own = [{"logits": outputs.enc_topk_logits, "pred_boxes": outputs.enc_topk_bboxes}, *own]
    labels = their_labels()
    matchings = [criterion.matcher(layer, labels) for layer in own]
    known = criterion.get_cdn_matched_indices(meta, labels)
    totals: dict[str, Tensor] = {}
    asked = [*((layer, pairs, 4) for layer, pairs in zip(own, matchings, strict=True))]
    asked += [(layer, known, 4 * meta["dn_num_group"]) for layer in told]
    for layer, pairs, count in asked:
        for kind in criterion.losses:
            for name, value in criterion.get_loss(kind, layer, labels, pairs, count).items():
                totals[NAMES[name]] = totals.get(NAMES[name], 0) + value * criterion.weight_dict[name]
    return totals


def layers_of(outputs: Any, queries: slice) -> list[dict[str, Tensor]]:
    """What each decoder layer says of some queries; D-FINE's first entry is before its first edges."""
    logits, boxes = outputs.intermediate_logits[:, :, queries], outputs.intermediate_reference_points[:, :, queries]
    layers = [
        {"logits": logit, "pred_boxes": box.clamp(0, 1)}
        for logit, box in zip(logits.unbind(1), boxes.unbind(1), strict=True)
    ]
    if outputs.intermediate_predicted_corners is not None:
        corners, begun = outputs.intermediate_predicted_corners, outputs.initial_reference_points
        for i, layer in enumerate(layers[1:]):
            layer |= {"pred_corners": corners[:, i, queries], "ref_points": begun[:, i, queries]}
            layer |= {"teacher_corners": corners[:, -1, queries], "teacher_logits": logits[:, -1]}
    return layers


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    state = theirs_at_random("rt_detr_v2").state_dict()
    torch.save({**state, "model.decoder.layers.0.more.weight": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(InputError, match=r"more.pth: does not fit RT-DETR \(Unexpected key"):
        import_transformers(tmp_path / "more.pth")
    torch.save({key: value for key, value in state.items() if "stages.2." not in key}, tmp_path / "short.pth")
    with pytest.raises(InputError, match=r"short.pth: its backbone is none of resnet18vd, resnet34vd, resnet50d, "):
        import_transformers(tmp_path / "short.pth")


def test_nothing_is_told_where_there_is_nothing() -> None:
    nothing = QueryObjects(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), torch.zeros(0, 4))
    told = tell([nothing, nothing], NUM_CLASSES)
    assert told.labels.shape == (2, 0)
    assert told.pairs.shape == (3, 0)
