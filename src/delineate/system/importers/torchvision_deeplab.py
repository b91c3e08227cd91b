"""The weights of torchvision's DeepLabV3 get our names."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

BODY, COUNTER = "backbone.", ".num_batches_tracked"
RENAMED: dict[str, str | Callable[[re.Match[str]], str]] = {
    r"classifier\.0\.convs\.4\.([12])\.": lambda found: f"head.0.mean.{int(found[1]) - 1}.",
    r"classifier\.0\.convs\.(\d)\.": r"head.0.branches.\1.",
    r"classifier\.0\.project\.": "head.0.project.",
    r"classifier\.([12])\.": lambda found: f"head.1.{int(found[1]) - 1}.",
    r"classifier\.4\.": "head.2.",
    r"aux_classifier\.([01])\.": r"auxiliary.0.\1.",
    r"aux_classifier\.4\.": "auxiliary.2.",
}


def has_auxiliary(foreign: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell from the weights whether there is a second head."""
    return {"auxiliary": any(key.startswith("aux_classifier.") for key in foreign)}


def checked_deeplab(foreign: Mapping[str, Tensor], model: Any, num_classes: int) -> dict[str, Tensor]:
    """Give the weights as they are where the heads are torchvision's; raises `RuntimeError` where they are not."""
    channels = model.network.backbone.channels
    heads = nn.ModuleDict({"classifier": DeepLabHead(channels[-1], num_classes)})
    if model.network.auxiliary is not None:
        heads["aux_classifier"] = FCNHead(channels[-2], num_classes)
    heads.load_state_dict({key: value for key, value in foreign.items() if not key.startswith(BODY)})
    return dict(foreign)


def translate_deeplab(
    foreign: Mapping[str, Tensor], model: nn.Module, kept: Sequence[int], *, published: bool
) -> dict[str, Tensor]:
    """Put their weights under our names; background, a value of label maps, moves to the end."""
    weights = {key: value for key, value in model.state_dict().items() if key.endswith((COUNTER, "class_weights"))}
    for key, value in foreign.items():
        if key.startswith(BODY):
            weights[f"network.backbone.body.{key.removeprefix(BODY)}"] = value.clone()
        else:
            pattern = next(pattern for pattern in RENAMED if re.match(pattern, key))
            values = value[list(kept)] if key.partition(".")[2].startswith("4.") else value.clone()
            weights["network." + re.sub(f"^{pattern}", RENAMED[pattern], key)] = values
    return weights
