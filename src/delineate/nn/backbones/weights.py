"""Published weights of backbones are downloaded or read from a file, without running code from it."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from torch import Tensor

from delineate.io.mistaken import what_it_is
from delineate.nn.backbones.contract import Backbone
from delineate.values import InputError


def load_backbone_weights(backbone: Backbone, weights: dict[str, Tensor], source: str) -> list[str]:
    """Put published weights into a backbone: its own names, `timm`'s or torchvision's; those without a place come back.

    They are a classifier's, usually.
    Raises `InputError` naming `source` when a weight of the backbone is missing or has another shape.
    """
    own = backbone.state_dict()
    given, weights = weights, {**weights, **backbone.from_published(weights)}
    # timm's feature extractor writes a child `stages.0` as `stages_0`
    flat = {key.replace(".", "_"): value for key, value in weights.items()}
    taken = {}
    for key, value in own.items():
        published = weights.get(key, flat.get(key.removeprefix("body.").replace(".", "_")))
        if published is None:
            if key.endswith("num_batches_tracked"):
                taken[key] = value
                continue
            raise InputError(f"{source}: no weight '{key.removeprefix('body.')}'; is the file of this backbone?")
        if published.shape != value.shape:
            raise InputError(
                f"{source}: weight '{key}' is {tuple(published.shape)}, the backbone's {tuple(value.shape)}"
            )
        taken[key] = published
    backbone.load_state_dict(taken)
    places = {id(value) for value in taken.values()}
    return [key for key, value in given.items() if id(value) not in places]


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors or .pth file, without running code from it.

    Raises `InputError` naming the file when it is missing or no file of weights.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a .safetensors or .pth file of weights")
    try:
        if file.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(file))
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        said = what_it_is(file) or "not a file of weights that can be read without running code from it"
        raise InputError(f"{file}: {said}") from error
    if not isinstance(weights, dict):
        raise InputError(f"{file}: holds a {type(weights).__name__}, not a dictionary of weights")
    weights = weights.get("state_dict", weights)
    return {key: value for key, value in weights.items() if isinstance(value, Tensor)}


def download(name: str, **options: Any) -> dict[str, Tensor]:
    """Fetch the ImageNet weights of a `timm` model made with these options, under timm's names.

    Raises `InputError` where they cannot be fetched.
    """
    try:
        with redirect_stdout(sys.stderr):  # where torch announces downloads
            model = timm.create_model(name, pretrained=True, **options)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"pretrained: ImageNet weights of {name} could not be fetched ({reason}); "
            "connect, or give a downloaded file with --backbone-weights"
        ) from error
    weights: dict[str, Tensor] = model.state_dict()
    return weights
