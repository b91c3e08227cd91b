"""ImageNet weights that this machine already has are found: in a place that is named, or in timm's cache."""

import os
from pathlib import Path
from urllib.parse import urlparse

import timm
import torch
from huggingface_hub import try_to_load_from_cache

from delineate.values import InputError

PLACE = "DELINEATE_WEIGHTS"
"""This environment variable names a file `NAME.safetensors` or `NAME.pth`, NAME as in timm, or a folder of them."""
SUFFIXES = (".safetensors", ".pth")
CACHED = ("model.safetensors", "pytorch_model.bin")


def named_weights() -> dict[str, Path]:
    """List the files that `DELINEATE_WEIGHTS` names by the backbones that they are of; nothing is downloaded.

    Raises `InputError` where there is no such file or folder, or where no file has the name of a `timm` model.
    """
    place = os.environ.get(PLACE)
    return weights_at(Path(place).expanduser(), f"{PLACE}={place}") if place else {}


def weights_at(path: Path, source: str) -> dict[str, Path]:
    """List a file of weights, or those in a folder, by the `timm` backbones that they have the names of.

    Raises `InputError` naming the `source` where there are none.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    found = {file.stem.split(".")[0]: file for file in files if file.suffix in SUFFIXES}
    found = {name: file for name, file in found.items() if timm.is_model(name)}
    if not found:
        what = "no file there has the name of a timm model" if files else "no such file or folder"
        raise InputError(f"{source}: {what}; name NAME.safetensors or NAME.pth, as resnet18.safetensors")
    return found


def cached_weights(name: str) -> Path | None:
    """Find the weights of a backbone that an earlier download left in timm's cache; nothing is downloaded."""
    published = timm.get_pretrained_cfg(name)
    if published is None:
        return None
    places = []
    if published.hf_hub_id:
        places += [try_to_load_from_cache(published.hf_hub_id, file) for file in CACHED]
    if published.url:
        places.append(str(Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(str(published.url)).path).name))
    return next((Path(place) for place in places if isinstance(place, str) and Path(place).is_file()), None)
