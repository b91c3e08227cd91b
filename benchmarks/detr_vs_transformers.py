"""DETR-R50: ours against Transformers', the same random weights in both.

Inference of a normalised picture of `--size` to logits and boxes, and a training step with all auxiliary losses; eager
fp32. The peer's attention is `sdpa`, as its users get it.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_convert
from transformers import DetrConfig, DetrForObjectDetection

from delineate.models.contract import Inputs
from delineate.models.queries import DETR
from delineate.system.importers import import_transformers
from delineate.values import Target, truths_of
from region_vs_torchvision import step
from timing import interleaved, print_rows

NUM_CLASSES = 80


def pair() -> tuple[Any, DETR]:
    torch.manual_seed(0)
    config = DetrConfig(
        num_labels=NUM_CLASSES,
        use_timm_backbone=True,
        backbone="resnet50",
        use_pretrained_backbone=False,
        backbone_config=None,
        auxiliary_loss=True,
    )
    peer = DetrForObjectDetection(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        torch.save(peer.state_dict(), Path(folder) / "peer.pth")
        ours = import_transformers(Path(folder) / "peer.pth").model
    assert isinstance(ours, DETR)
    return peer, ours.to(memory_format=torch.channels_last)


def training(peer: Any, ours: DETR, images: Tensor) -> tuple[Callable[[], object], Callable[[], object]]:
    batch, size = len(images), (images.shape[-2], images.shape[-1])
    low = torch.rand(batch, 8, 2) * 0.6
    shares = torch.cat([low, low + 0.05 + torch.rand(batch, 8, 2) * 0.3], 2)
    labels = torch.randint(0, NUM_CLASSES, (batch, 8))
    sides = torch.tensor([size[1], size[0]]).repeat(2)
    targets = [Target(image_size=size, boxes=b * sides, labels=names) for b, names in zip(shares, labels, strict=True)]
    theirs = [
        {"boxes": box_convert(b, "xyxy", "cxcywh"), "class_labels": names}
        for b, names in zip(shares, labels, strict=True)
    ]
    packed = images.contiguous(memory_format=torch.channels_last)
    return (
        step(ours.train(), lambda: torch.stack(list(ours.loss(Inputs(packed), truths_of(targets)).values())).sum()),
        step(peer.train(), lambda: peer(pixel_values=images, labels=theirs).loss),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1066), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--train-size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    peer, ours = pair()
    image = torch.randn(1, 3, *arguments.size)
    packed = image.contiguous(memory_format=torch.channels_last)
    mine, theirs = (
        torch.inference_mode()(run) for run in (lambda: ours.eval()(packed), lambda: peer.eval()(pixel_values=image))
    )
    height, width = arguments.size
    rows = [interleaved(f"DETR-R50, {height} x {width}: inference, s", mine, theirs, arguments.repeats)]
    height, width = arguments.train_size
    name = f"DETR-R50: training step of {arguments.batch} x {height} x {width}, s"
    images = torch.randn(arguments.batch, 3, height, width)
    rows.append(interleaved(name, *training(peer, ours, images), arguments.repeats))
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
