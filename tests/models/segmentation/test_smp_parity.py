"""The same weights give what segmentation_models_pytorch's DeepLabV3+ and SegFormer give, where it is installed."""

from typing import Any

import pytest
import torch
from torch import nn

from delineate.models.segmentation.deeplab import deeplabv3plus
from delineate.models.segmentation.segmenter import Segmenter

smp: Any = pytest.importorskip("segmentation_models_pytorch", exc_type=ImportError)

NUM_CLASSES = 5


def spread_out(model: nn.Module) -> None:
    """Give statistics of batch norms values that do not hide a mistake."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]


def ordered(theirs: Any, ours: Segmenter, order: list[tuple[str, str]]) -> Segmenter:
    """Put their weights into ours, part by part; theirs are linear layers where ours are 1x1 convolutions."""
    for their_part, our_part in order:
        parts = map(theirs.get_submodule, their_part.split())
        source = [value for part in parts for value in part.state_dict().values()]
        target = list(ours.get_submodule(f"network.{our_part}").state_dict().values())
        assert len(source) == len(target), (their_part, our_part)
        for value, other in zip(target, source, strict=True):
            value.copy_(other.view_as(value))
    return ours


def test_deeplabv3plus_equals_theirs() -> None:
    torch.manual_seed(0)
    theirs = smp.DeepLabV3Plus("tu-resnet18", encoder_weights=None, classes=NUM_CLASSES).eval()
    spread_out(theirs)
    ours = ordered(
        theirs,
        deeplabv3plus(num_classes=NUM_CLASSES).eval(),
        [
            ("encoder.model", "backbone.body"),
            ("decoder.aspp.0.convs.0", "aspp.0.branches.0"),
            ("decoder.aspp.0.convs.1", "aspp.0.branches.1"),
            ("decoder.aspp.0.convs.2", "aspp.0.branches.2"),
            ("decoder.aspp.0.convs.3", "aspp.0.branches.3"),
            ("decoder.aspp.0.convs.4", "aspp.0.mean"),
            ("decoder.aspp.0.project", "aspp.0.project"),
            ("decoder.aspp.1 decoder.aspp.2", "aspp.1"),
            ("decoder.block1", "squeeze"),
            ("decoder.block2", "fuse"),
            ("segmentation_head.0", "classify"),
        ],
    )
    images = torch.randn(2, 3, 96, 128)
    with torch.no_grad():
        torch.testing.assert_close(ours(images).logits, theirs(images), atol=1e-4, rtol=1e-4)
