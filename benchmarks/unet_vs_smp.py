"""U-Net with a ResNet-34 encoder: ours against segmentation_models_pytorch's, forward and training step.

Each is in its own memory layout (ours runs channels-last, as training and `Predictor` do; the peer as its users call
it), in eager fp32, on the same pictures, in turns.
"""

import argparse
from collections.abc import Callable

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.contract import Inputs
from delineate.models.segmentation import unet
from delineate.values import Target, truths_of
from timing import interleaved, print_rows

NUM_CLASSES = 11


def forward(model: nn.Module, images: Tensor) -> Callable[[], object]:
    model = model.eval()

    def run() -> object:
        with torch.inference_mode():
            return model(images)

    return run


def step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], object]:
    optimizer = torch.optim.AdamW(model.train().parameters())

    def run() -> object:
        optimizer.zero_grad()
        loss().backward()
        return optimizer.step()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, nargs=2, default=(352, 480), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--upsamplers", nargs="+", default=["transposed", "nearest"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    size = tuple(arguments.size)
    images = torch.randn(arguments.batch, 3, *size)
    label_maps = torch.randint(0, NUM_CLASSES, (arguments.batch, *size))
    targets = [Target(image_size=size, label_map=label_map) for label_map in label_maps]
    last = images.contiguous(memory_format=torch.channels_last)
    peer = smp.Unet("resnet34", encoder_weights=None, classes=NUM_CLASSES)

    rows = []
    for upsampler in arguments.upsamplers:
        ours = unet(num_classes=NUM_CLASSES, backbone="resnet34", upsampler=upsampler)
        ours = ours.to(memory_format=torch.channels_last)
        where = f"U-Net ResNet-34 ({upsampler}), {arguments.batch} x {size[0]} x {size[1]}"
        rows += [
            interleaved(f"{where}: forward, s", forward(ours, last), forward(peer, images), arguments.repeats),
            interleaved(
                f"{where}: training step, s",
                step(ours, lambda ours=ours: sum(ours.loss(Inputs(last), truths_of(targets)).values())),
                step(peer, lambda: F.cross_entropy(peer(images), label_maps)),
                arguments.repeats,
            ),
        ]
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
