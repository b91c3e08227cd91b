"""What the tests of one-stage systems beside torchvision's share."""

from typing import Any

import torch
from torch import Tensor, nn

from delineate.models.contract import AnyModel
from delineate.values import Detections


def picture(seed: int, size: tuple[int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, 20, 20, generator=generator)
    return nn.functional.interpolate(coarse, size=size, mode="bilinear")


def detections_equal(theirs: Any, ours: AnyModel, image: Tensor) -> None:
    """Both find the same in a picture, but for what lies outside of it, which ours leaves out."""
    size = (image.shape[-2], image.shape[-1])
    with torch.no_grad():
        (expected,) = theirs.eval()([image[0]])
        (detections,) = ours.reader.results(ours.reader.find(ours.eval()(image), size), size, [size])
    assert isinstance(detections, Detections)
    whole = (expected["boxes"][:, 2:] - expected["boxes"][:, :2] > 1e-2).all(1)
    assert len(detections) == int(whole.sum()) > 50
    torch.testing.assert_close(detections.boxes, expected["boxes"][whole], atol=1e-2, rtol=0)
    torch.testing.assert_close(detections.scores, expected["scores"][whole], atol=1e-4, rtol=0)
    assert torch.equal(detections.labels, expected["labels"][whole] - 1)
