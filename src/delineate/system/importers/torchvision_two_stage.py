"""The weights of torchvision's two-stage detectors get our names."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN
from torchvision.ops import FeaturePyramidNetwork

EPSILON = 1e-5
BODY, OUR_BODY, COUNTER = "backbone.body.", "pyramid.backbone.body.", ".num_batches_tracked"

RENAMED = {
    **{f"backbone.fpn.inner_blocks.{i}.0.": f"pyramid.laterals.{i}." for i in range(4)},
    **{f"backbone.fpn.layer_blocks.{i}.0.": f"pyramid.outputs.{i}." for i in range(4)},
    "rpn.head.conv.0.0.": "proposer.conv.",
    "rpn.head.cls_logits.": "proposer.objectness.",
    "rpn.head.bbox_pred.": "proposer.deltas.",
    "roi_heads.box_head.fc6.": "box_head.hidden.0.",
    "roi_heads.box_head.fc7.": "box_head.hidden.1.",
    "roi_heads.box_predictor.cls_score.": "box_head.classify.",
    "roi_heads.box_predictor.bbox_pred.": "box_head.regress.",
    **{f"roi_heads.mask_head.{i}.0.": f"mask_head.convs.{i}." for i in range(4)},
    "roi_heads.mask_predictor.conv5_mask.": "mask_head.enlarge.",
    "roi_heads.mask_predictor.mask_fcn_logits.": "mask_head.classify.",
    **{f"roi_heads.keypoint_head.{2 * i}.": f"keypoint_head.convs.{i}." for i in range(8)},
    "roi_heads.keypoint_predictor.kps_score_lowres.": "keypoint_head.enlarge.",
}


def current_names(foreign: Mapping[str, Tensor], model: Any, num_classes: int) -> dict[str, Tensor]:
    """Name the weights as the installed torchvision does, which translates what older ones saved.

    The body keeps its names: which it is, only its user knows. Raises `RuntimeError` for weights that do not fit.
    """
    heatmaps = foreign.get("roi_heads.keypoint_predictor.kps_score_lowres.bias")
    kind: Any = MaskRCNN if model.mask_head is not None else FasterRCNN if heatmaps is None else KeypointRCNN
    options = {} if heatmaps is None else {"num_keypoints": len(heatmaps)}
    detector = kind(_WithoutBody(model.pyramid), num_classes, **options)
    detector.load_state_dict({key: value for key, value in foreign.items() if not key.startswith(BODY)})
    body = {key: value for key, value in foreign.items() if key.startswith(BODY)}
    return {**body, **detector.state_dict()}


class _WithoutBody(nn.Module):
    """Detectors of torchvision ask a backbone for its channels; in ours the same pyramid has them."""

    def __init__(self, pyramid: Any) -> None:
        super().__init__()
        self.out_channels = pyramid.channels
        self.fpn = FeaturePyramidNetwork([lateral.in_channels for lateral in pyramid.laterals], pyramid.channels)


def translate_two_stage(
    foreign: Mapping[str, Tensor], model: nn.Module, kept: Sequence[int], *, published: bool
) -> dict[str, Tensor]:
    """Put their weights of the classes that are kept under our names; background moves from the first to the last."""
    weights = in_our_body(foreign, model)
    for key, value in foreign.items():
        if not key.startswith(BODY):
            old = next(name for name in RENAMED if key.startswith(name))
            weights[RENAMED[old] + key.removeprefix(old)] = value.clone()
    rows = torch.tensor(kept) + 1
    for kind in ("weight", "bias"):
        scores, boxes = weights[f"box_head.classify.{kind}"], weights[f"box_head.regress.{kind}"]
        weights[f"box_head.classify.{kind}"] = torch.cat([scores[rows], scores[:1]])
        weights[f"box_head.regress.{kind}"] = boxes.view(len(scores), 4, *boxes.shape[1:])[rows].flatten(0, 1)
        if f"mask_head.classify.{kind}" in weights:
            weights[f"mask_head.classify.{kind}"] = weights[f"mask_head.classify.{kind}"][rows]
    if published:
        without_epsilon(weights)
    has_keypoints = any(key.startswith("keypoint_head.") for key in weights)
    weights["keypoint_classes"] = torch.full((len(kept),), has_keypoints)
    weights["box_head.one_vs_rest"] = torch.tensor(False)
    return weights


def in_our_body(foreign: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Put the weights of their body under our names, and take our counters of batches.

    Users cut timm's bodies into levels in several ways, so that dots and underscores of their names are as one.
    """
    own = {_flat(key.removeprefix(OUR_BODY)): key for key in model.state_dict() if key.startswith(OUR_BODY)}
    weights = {key: value for key, value in model.state_dict().items() if key.endswith(COUNTER)}
    body = {key: value for key, value in foreign.items() if key.startswith(BODY)}
    return weights | {own.get(_flat(key.removeprefix(BODY)), key): value.clone() for key, value in body.items()}


def _flat(name: str) -> str:
    return name.replace(".", "_")


def without_epsilon(weights: dict[str, Tensor]) -> None:
    """Scale the batch norms such that ours, which add an epsilon to the variance, give what theirs give without."""
    for key in [key for key in weights if key.endswith("running_var")]:
        variance = weights[key].double()
        scale = weights[key.replace("running_var", "weight")]
        scale.mul_(((variance + EPSILON) / variance).sqrt().to(scale))
