"""The weights of torchvision's SSD300 get our names."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import ssd300_vgg16

CONVS = (2, 2, 3, 3, 3)
"""VGG-16's five stages have so many convolutions; theirs are numbered through, ReLUs and poolings included."""
NUM_LEVELS, NUM_EXTRAS = 6, 4


def checked_ssd300(foreign: Mapping[str, Tensor], model: nn.Module, num_classes: int) -> dict[str, Tensor]:
    """Give the weights as they are where they are torchvision's; raises `RuntimeError` where they are not."""
    ssd300_vgg16(weights=None, weights_backbone=None, num_classes=num_classes).load_state_dict(foreign)
    return dict(foreign)


def translate_ssd300(
    foreign: Mapping[str, Tensor], model: nn.Module, kept: Sequence[int], *, published: bool
) -> dict[str, Tensor]:
    """Put their weights of the classes that are kept under our names; background moves from the first to the last.

    Without batch norms, the published ones are as any others.
    """
    weights = {}
    for old, new in _layers().items():
        for kind in ("weight", "bias"):
            weights[f"{new}.{kind}"] = foreign[f"{old}.{kind}"].clone()
    weights["levels.scale"] = foreign["backbone.scale_weight"].clone()
    weights["whole_sides"] = torch.tensor(False)  # `DefaultBoxGenerator` cuts them to the picture's
    rows = torch.tensor([*(row + 1 for row in kept), 0])
    for level in range(NUM_LEVELS):
        num_shapes = len(weights[f"regress.{level}.bias"]) // 4
        for kind in ("weight", "bias"):
            scores = weights[f"classify.{level}.{kind}"]
            by_shape = scores.view(num_shapes, len(scores) // num_shapes, *scores.shape[1:])
            weights[f"classify.{level}.{kind}"] = by_shape[:, rows].flatten(0, 1)
    return weights


def _layers() -> dict[str, str]:
    """Pair their name of each convolution with ours."""
    names, position = {}, 0
    for stage, count in enumerate(CONVS):
        for conv in range(count):
            # the last stage is numbered anew, behind the pooling before it
            old = f"backbone.features.{position}" if stage < 4 else f"backbone.extra.0.{1 + 2 * conv}"
            names[old] = f"levels.backbone.blocks.{stage}.{2 * conv}"
            position += 2
        position += 1
    names |= {"backbone.extra.0.7.1": "levels.fc6", "backbone.extra.0.7.3": "levels.fc7"}
    for extra in range(NUM_EXTRAS):
        names[f"backbone.extra.{extra + 1}.0"] = f"levels.extras.{extra}.0"
        names[f"backbone.extra.{extra + 1}.2"] = f"levels.extras.{extra}.2"
    for level in range(NUM_LEVELS):
        names[f"head.classification_head.module_list.{level}"] = f"classify.{level}"
        names[f"head.regression_head.module_list.{level}"] = f"regress.{level}"
    return names
