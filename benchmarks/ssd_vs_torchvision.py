"""SSD300 with VGG-16: ours against torchvision's, the same weights in both.

Inference from a decoded 480 x 640 picture to detections in its coordinates, and a training step of `--batch` pictures
of 300 x 300; eager fp32. Post-processing by itself: decoding and NMS of `--post-batch` pictures' 8,732 boxes of 80
classes. The weights are random, scaled so that a few hundred boxes score.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.image_list import ImageList

from delineate.models.contract import Inputs
from delineate.system.importers import import_torchvision
from delineate.system.system import System
from delineate.values import Target, truths_of
from region_vs_torchvision import picture, step
from timing import interleaved, print_rows

NUM_CLASSES = 80
SIZE = (300, 300)


def pair() -> tuple[Any, System]:
    torch.manual_seed(0)
    peer = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=NUM_CLASSES + 1)
    with torch.no_grad():
        for conv in peer.head.classification_head.module_list:
            conv.weight.mul_(4)
    with tempfile.TemporaryDirectory() as folder:
        torch.save(peer.state_dict(), Path(folder) / "peer.pth")
        ours = import_torchvision("ssd300_vgg16", Path(folder) / "peer.pth")
    ours.model.to(memory_format=torch.channels_last)
    return peer.eval(), ours


def postprocessing(peer: Any, ours: System, batch: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Both ways from the network's outputs of a batch to detections."""
    images = torch.randn(batch, 3, *SIZE)
    with torch.inference_mode():
        raw = ours.model(images)
        features = list(peer.backbone(images).values())
        heads = peer.head(features)
        anchors = peer.anchor_generator(ImageList(images, [SIZE] * batch), features)
    sizes = [SIZE] * batch
    return (
        torch.inference_mode()(lambda: ours.reader.results(ours.reader.find(raw, SIZE), SIZE, sizes)),
        torch.inference_mode()(lambda: peer.postprocess_detections(heads, anchors, sizes)),
    )


def training(peer: Any, ours: System, batch: int) -> tuple[Callable[[], object], Callable[[], object]]:
    images = torch.randn(batch, 3, *SIZE)
    low = torch.rand(batch, 8, 2) * 180
    boxes = torch.cat([low, low + 20 + torch.rand(batch, 8, 2) * 100], 2)
    labels = torch.randint(0, NUM_CLASSES, (batch, 8))
    targets = [Target(image_size=SIZE, boxes=its, labels=names) for its, names in zip(boxes, labels, strict=True)]
    theirs = [{"boxes": its, "labels": names + 1} for its, names in zip(boxes, labels, strict=True)]
    peer.transform.normalize = lambda image: image
    packed = images.contiguous(memory_format=torch.channels_last)

    def total(losses: dict[str, Tensor]) -> Tensor:
        return torch.stack(list(losses.values())).sum()

    return (
        step(ours.model.train(), lambda: total(ours.model.loss(Inputs(packed), truths_of(targets)))),
        step(peer.train(), lambda: total(peer(list(images), theirs))),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--post-batch", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    peer, ours = pair()
    image = picture((480, 640))
    theirs = torch.inference_mode()(lambda: peer([image / 255]))
    found = ours.infer([image])[0]
    name = f"SSD300 VGG-16, {len(found)} and {len(theirs()[0]['boxes'])} detections: inference, s"
    rows = [interleaved(name, lambda: ours.infer([image]), theirs, arguments.repeats)]
    name = f"SSD300, decoding and NMS of {arguments.post_batch} pictures, s"
    rows.append(interleaved(name, *postprocessing(peer, ours, arguments.post_batch), arguments.repeats))
    name = f"SSD300 VGG-16: training step of {arguments.batch} pictures, s"
    rows.append(interleaved(name, *training(peer, ours, arguments.batch), arguments.repeats))
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
