"""Faster, Mask and Keypoint R-CNN with ResNet-50 and FPN: ours against torchvision's, the same weights in both.

Inference from a decoded 480 x 640 picture, resized to 800 x 1066, to results in its coordinates (masks: ours as RLE,
torchvision's pasted as float pictures, which is what each gives); and a training step of Faster R-CNN. Eager fp32, one
picture at a time in inference as prediction does, `--batch` pictures of `--train-size` in a step. The weights are
random, scaled so that there is as much to do as with trained ones: a thousand proposals and a hundred detections.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection

from delineate.data.preprocess import Preprocess
from delineate.models.contract import Inputs
from delineate.system.importers import import_torchvision
from delineate.system.system import System
from delineate.values import Target, truths_of
from timing import interleaved, print_rows

NUM_CLASSES = 80
ARCHITECTURES = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")


def pair(architecture: str) -> tuple[Any, System]:
    torch.manual_seed(0)
    count = 1 if architecture.startswith("keypoint") else NUM_CLASSES
    peer = getattr(detection, architecture)(weights=None, weights_backbone=None, num_classes=count + 1)
    for module in peer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.3, 0.6)
            module.running_var.uniform_(0.8, 1.5)
    with torch.no_grad():
        peer.rpn.head.cls_logits.weight.mul_(20)
        peer.roi_heads.box_predictor.cls_score.weight.mul_(60 if count == 1 else 1000)
    with tempfile.TemporaryDirectory() as folder:
        torch.save(peer.state_dict(), Path(folder) / "peer.pth")
        ours = import_torchvision(architecture, Path(folder) / "peer.pth")
    ours.model.to(memory_format=torch.channels_last).eval()
    return peer.eval(), ours


def in_use(system: System) -> System:
    """The system as `Predictor` loads it: channels last, its norms folded."""
    with tempfile.TemporaryDirectory() as folder:
        system.save(Path(folder) / "ours.safetensors")
        return System.load(Path(folder) / "ours.safetensors", torch.device("cpu"))


def picture(size: tuple[int, int]) -> Tensor:
    coarse = torch.rand(1, 3, size[0] // 16, size[1] // 16)
    smooth = nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)[0]
    return (smooth * 255).to(torch.uint8)


def their_inference(peer: nn.Module, image: Tensor) -> Callable[[], Any]:
    @torch.inference_mode()
    def run() -> Any:
        return peer([image / 255])

    return run


def step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], object]:
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=1e-6)

    def run() -> object:
        optimizer.zero_grad()
        loss().backward()
        return optimizer.step()

    return run


def training_row(batch: int, size: tuple[int, int], repeats: int) -> Any:
    peer, ours = pair("fasterrcnn_resnet50_fpn")
    peer.transform.resize = lambda image, target: (image, target)
    for module in peer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(False)
            module.train = lambda mode=True, module=module: module  # as torchvision's own pretrained ones: frozen
    peer.train()
    model = ours.model.train()
    images = torch.stack([picture(size) for _ in range(batch)])
    low = torch.rand(batch, 8, 2) * torch.tensor([size[1] * 0.6, size[0] * 0.6])
    boxes = torch.cat([low, low + 20 + torch.rand(batch, 8, 2) * 0.35 * min(size)], 2)
    labels = torch.randint(0, NUM_CLASSES, (batch, 8))
    targets = [Target(image_size=size, boxes=its, labels=names) for its, names in zip(boxes, labels, strict=True)]
    theirs = [{"boxes": its, "labels": names + 1} for its, names in zip(boxes, labels, strict=True)]
    normalised = Preprocess().normalise(images).contiguous(memory_format=torch.channels_last)
    return interleaved(
        f"Faster R-CNN R50-FPN, training step of {batch} x {size[0]} x {size[1]}, s",
        step(model, lambda: torch.stack(list(model.loss(Inputs(normalised), truths_of(targets)).values())).sum()),
        step(peer, lambda: torch.stack(list(peer(list(images / 255), theirs).values())).sum()),
        repeats,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--architectures", nargs="+", default=list(ARCHITECTURES), choices=ARCHITECTURES)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--train-size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    rows = []
    image = picture((480, 640))
    for architecture in arguments.architectures:
        peer, ours = pair(architecture)
        ours = in_use(ours)
        with torch.inference_mode():
            found, theirs = ours.infer([image])[0], peer([image / 255])[0]
        name = f"{architecture}, {len(found)} and {len(theirs['boxes'])} detections: inference, s"
        rows.append(
            interleaved(
                name,
                lambda ours=ours: ours.infer([image]),
                their_inference(peer, image),
                arguments.repeats,
            )
        )
    rows.append(training_row(arguments.batch, tuple(arguments.train_size), arguments.repeats))
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
