"""From decoded pictures to results, such that no result depends on the other pictures of the call."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from delineate.models.contract import Model
from delineate.models.region import RegionDetector
from delineate.ops.boxes import scale_boxes
from delineate.structures import InputError, Prediction, Preprocess


@torch.inference_mode()
def infer(
    model: Model[Any, Any],
    preprocess: Preprocess,
    images: Sequence[Tensor],
    *,
    sizes: Sequence[tuple[int, int]] | None = None,
    proposals: Sequence[Tensor] | None = None,
) -> list[Prediction]:
    """Results of RGB uint8 pictures `(3, H, W)` of any sizes, in the order given, in original coordinates.

    The model is in evaluation mode meanwhile.

    Pictures are resized here. Those of one resized size run together, others apart: none is padded to another's size.
    `sizes` are the original sizes where the pictures were resized before; `proposals` are boxes in the resized pictures
    for a system that looks for none itself where they are given; of original pictures they are searched here,
    as they were for the training.
    """
    if sizes is None:
        proposals = _searched(model, preprocess, images) if proposals is None else proposals
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        images = [preprocess.resize(image) for image in images]
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(tuple(image.shape), []).append(index)
    device = next(model.parameters()).device
    results: dict[int, Prediction] = {}
    was_training = model.training
    model.eval()
    for group in groups.values():
        batch = preprocess.normalise(torch.stack([images[index] for index in group]).to(device))
        batch = batch.contiguous(memory_format=torch.channels_last)
        outputs = model(batch) if proposals is None else model(batch, [proposals[index].to(device) for index in group])
        results.update(zip(group, model.postprocess(outputs, [sizes[index] for index in group]), strict=True))
    model.train(was_training)
    return [results[index] for index in range(len(images))]


def _searched(model: Model[Any, Any], preprocess: Preprocess, images: Sequence[Tensor]) -> list[Tensor] | None:
    """What selective search finds in the original pictures, in the resized ones; `None` for a system without it."""
    if not isinstance(model, RegionDetector) or model.search is None:
        return None
    sizes = [(image.shape[-2], image.shape[-1]) for image in images]
    found = [model.search.boxes(image) for image in images]
    return [scale_boxes(boxes, size, preprocess.resized(size)) for boxes, size in zip(found, sizes, strict=True)]


def find_device(name: str) -> torch.device:
    """A GPU where there is one for `auto`, else torch's device of that name; raises `InputError` where it is not."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device: '{name}' is not to be had ({str(error).splitlines()[0]}); try auto or cpu"
        ) from error
