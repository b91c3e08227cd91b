"""From decoded pictures to results, such that no result depends on the other pictures of the call."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from delineate.models.contract import Model
from delineate.structures import Prediction, Preprocess


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

    Pictures are resized here. Those of one resized size run together, others apart: none is padded to another's size.
    `sizes` are the original sizes where the pictures were resized before; `proposals` are boxes in the resized pictures
    for a system that looks for none itself where they are given.
    """
    if sizes is None:
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        images = [preprocess.resize(image) for image in images]
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(tuple(image.shape), []).append(index)
    device = next(model.parameters()).device
    results: dict[int, Prediction] = {}
    for group in groups.values():
        batch = preprocess.normalise(torch.stack([images[index] for index in group]).to(device))
        batch = batch.contiguous(memory_format=torch.channels_last)
        outputs = model(batch) if proposals is None else model(batch, [proposals[index].to(device) for index in group])
        results.update(zip(group, model.postprocess(outputs, [sizes[index] for index in group]), strict=True))
    return [results[index] for index in range(len(images))]
