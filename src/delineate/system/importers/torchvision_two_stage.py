"""The weights of torchvision's two-stage detectors get our names."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

EPSILON = 1e-5

RENAMED = {
    "backbone.body.": "pyramid.backbone.body.",
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


def translate_two_stage(foreign: Mapping[str, Tensor], kept: Sequence[int], *, published: bool) -> dict[str, Tensor]:
    """Put their weights of the classes that are kept under our names; background moves from the first to the last."""
    weights = {}
    for key, value in foreign.items():
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
        _without_epsilon(weights)
    has_keypoints = any(key.startswith("keypoint_head.") for key in weights)
    weights["keypoint_classes"] = torch.full((len(kept),), has_keypoints)
    weights["box_head.one_vs_rest"] = torch.tensor(False)
    return weights


def _without_epsilon(weights: dict[str, Tensor]) -> None:
    """Scale the batch norms such that ours, which add an epsilon to the variance, give what theirs give without."""
    for key in [key for key in weights if key.endswith("running_var")]:
        variance = weights[key].double()
        scale = weights[key.replace("running_var", "weight")]
        scale.mul_(((variance + EPSILON) / variance).sqrt().to(scale))
