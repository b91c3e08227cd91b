"""The weights of torchvision's RetinaNet and FCOS get our names."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from delineate.models.one_stage.retinanet import RetinaNet
from delineate.system.importers.torchvision_two_stage import BODY, in_our_body, without_epsilon

BRANCHES = {"classification_head": "class_tower", "regression_head": "box_tower"}
RENAMED = {
    **{f"backbone.fpn.inner_blocks.{i}.0.": f"pyramid.laterals.{i}." for i in range(3)},
    **{f"backbone.fpn.layer_blocks.{i}.0.": f"pyramid.outputs.{i}." for i in range(3)},
    "backbone.fpn.extra_blocks.p6.": "pyramid.further.0.",
    "backbone.fpn.extra_blocks.p7.": "pyramid.further.1.",
    "head.classification_head.cls_logits.": "classify.",
    "head.regression_head.bbox_reg.": "regress.",
    "head.regression_head.bbox_ctrness.": "centre.",
}


class _WithoutBody(nn.Module):
    """These parts of torchvision's detector behind its backbone translate what older versions saved."""

    def __init__(self, model: Any, num_classes: int) -> None:
        super().__init__()
        pyramid, width = model.pyramid, model.pyramid.channels
        self.fpn = FeaturePyramidNetwork(
            [lateral.in_channels for lateral in pyramid.laterals],
            width,
            extra_blocks=LastLevelP6P7(pyramid.further[0].in_channels, width),
        )
        if isinstance(model, RetinaNet):
            norm = partial(nn.GroupNorm, 32) if _is_normed(model) else None
            self.head: nn.Module = RetinaNetHead(width, model.num_anchors, num_classes, norm_layer=norm)
        else:
            self.head = FCOSHead(width, 1, num_classes)


def current_names(foreign: Mapping[str, Tensor], model: Any, num_classes: int) -> dict[str, Tensor]:
    """Name the weights as the installed torchvision does; raises `RuntimeError` for weights that do not fit."""
    behind = _WithoutBody(model, num_classes)
    rest = {key.removeprefix("backbone."): value for key, value in foreign.items() if not key.startswith(BODY)}
    behind.load_state_dict(rest)
    named = {f"backbone.{key}" if key.startswith("fpn.") else key: value for key, value in behind.state_dict().items()}
    return {**{key: value for key, value in foreign.items() if key.startswith(BODY)}, **named}


def translate_pyramid(
    foreign: Mapping[str, Tensor], model: Any, kept: Sequence[int], *, published: bool
) -> dict[str, Tensor]:
    """Put their weights of the classes that are kept under our names; theirs have scores of background, which go."""
    weights = in_our_body(foreign, model)
    for key, value in foreign.items():
        if not key.startswith(BODY):
            weights[_ours(key, model)] = value.clone()
    for key, value in model.state_dict().items():
        if key.endswith(".bias") and "_tower." in key and key not in weights:
            weights[key] = torch.zeros_like(value)  # before a norm theirs has none
    rows = torch.tensor(kept) + 1
    num_anchors = weights["regress.bias"].shape[0] // 4
    for kind in ("weight", "bias"):
        scores = weights[f"classify.{kind}"]
        scores = scores.view(num_anchors, -1, *scores.shape[1:])
        weights[f"classify.{kind}"] = scores[:, rows].flatten(0, 1)
    if published and isinstance(model, RetinaNet) and not _is_normed(model):
        without_epsilon(weights)
    return weights


def _ours(key: str, model: Any) -> str:
    tower = re.fullmatch(r"head\.(\w+)\.conv\.(\d+)\.(?:(\d)\.)?(\w+)", key)
    if tower is None:
        old = next(name for name in RENAMED if key.startswith(name))
        return RENAMED[old] + key.removeprefix(old)
    branch, number, layer, kind = tower.groups()
    index = int(number) if layer is None else int(number) * (3 if _is_normed(model) else 2) + int(layer)
    return f"{BRANCHES[branch]}.{index}.{kind}"


def _is_normed(model: Any) -> bool:
    return any(isinstance(layer, nn.GroupNorm) for layer in model.class_tower)
