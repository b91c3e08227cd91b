"""The weights of torchvision's LR-ASPP get our names.

Its MobileNetV3 has the layers of `timm`'s in the same order, and batch norms that add more to the variance, by
`EPSILON`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from delineate.system.importers.torchvision_deeplab import BODY, COUNTER

EPSILON = 1e-3
HEAD = {"cbr": "look", "scale.1": "gate.0", "low_classifier": "classify_low", "high_classifier": "classify"}


def checked_lraspp(foreign: Mapping[str, Tensor], model: Any, num_classes: int) -> dict[str, Tensor]:
    """Put the weights into the order of torchvision's network; raises `RuntimeError` where they do not fit it."""
    theirs = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=num_classes)
    theirs.load_state_dict(foreign)
    return {key: foreign[key] for key in theirs.state_dict() if not key.endswith(COUNTER)}


def translate_lraspp(
    foreign: Mapping[str, Tensor], model: Any, kept: Sequence[int], *, published: bool
) -> dict[str, Tensor]:
    """Put their weights under our names; background, a value of label maps, moves to the end."""
    weights = {key: value for key, value in model.state_dict().items() if key.endswith((COUNTER, "class_weights"))}
    ours = [key for key in model.network.backbone.state_dict() if not key.endswith(COUNTER)]
    theirs = [value for key, value in foreign.items() if key.startswith(BODY)]
    weights |= {f"network.backbone.{key}": value.clone() for key, value in zip(ours, theirs, strict=True)}
    for name, module in model.network.backbone.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            weights[f"network.backbone.{name}.running_var"] += EPSILON - module.eps
    for name, own in HEAD.items():
        prefix = f"classifier.{name}."
        for key, value in foreign.items():
            if key.startswith(prefix):
                rows = value[list(kept)] if "classify" in own else value.clone()
                weights[f"network.{own}.{key.removeprefix(prefix)}"] = rows
    return weights
